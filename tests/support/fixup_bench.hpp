#pragma once

#include "base/error.hpp"
#include "base/files.hpp"
#include "fixup/fixup.hpp"
#include "fixup/protocol.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

namespace coldspare::fixup {

/// A directory with a raw image of 1 MiB and helpers that answer as they are told.
class FixupBench {
public:
    FixupBench() {
        REQUIRE_MESSAGE(::access("/usr/bin/qemu-img", X_OK) == 0, "qemu-img is missing");
        directory_ = (std::filesystem::temp_directory_path() / "fixup-test.XXXXXX").string();
        REQUIRE(::mkdtemp(directory_.data()) != nullptr);
        write_file_atomically(image(), std::string(1 << 20, 'x'));
        helper(Outcome::applied);
    }
    ~FixupBench() { std::filesystem::remove_all(directory_); }
    FixupBench(const FixupBench&) = delete;
    FixupBench& operator=(const FixupBench&) = delete;

    [[nodiscard]] std::filesystem::path image() const {
        return std::filesystem::path(directory_) / "mail1.img";
    }
    [[nodiscard]] std::filesystem::path overlay() const {
        return image().string() + ".fixup.qcow2";
    }
    [[nodiscard]] std::filesystem::path report() const { return image().string() + ".fixup.json"; }
    [[nodiscard]] std::filesystem::path partial() const { return overlay().string() + ".partial"; }

    /// A helper that prints a report with the given outcome, and keeps the request.
    void helper(Outcome outcome) {
        const RepairReport report{.system = "test",
                                  .fixes = {{"grub-bios", outcome, "detail", "a hint"}},
                                  .files = {"/etc/changed"},
                                  .vm = {.firmware = "bios"}};
        script(fmt::format("cat > '{}/request'\ncat << 'END'\n{}\nEND\n", directory_,
                           encode_report(report)));
    }
    void script(const std::string& text) {
        write_file_atomically(program(), "#!/bin/sh\n" + text, 0755);
    }
    [[nodiscard]] FixupRequest request() const {
        return {.images = {{.image = image(), .base_root = "abcd"}},
                .wishes = {.nics = {{"eth0", "52:54:00:12:34:56"}}},
                .program = "coldspare test",
                .appliance = program(),
                .accelerator = Accelerator::tcg,
                .timeout = std::chrono::seconds(20)};
    }
    [[nodiscard]] FixupResult run(const FixupRequest& request) const {
        return run_fixup(request, [](std::string_view) {}, {});
    }
    /// Runs and returns the Error it must end with.
    [[nodiscard]] Error failure(const FixupRequest& request) const {
        try {
            static_cast<void>(run(request));
        } catch (const Error& error) {
            return error;
        }
        FAIL("it ended well");
        return Error("");
    }
    [[nodiscard]] std::string asked() const {
        return read_file(std::filesystem::path(directory_) / "request", 1 << 20);
    }

private:
    [[nodiscard]] std::filesystem::path program() const {
        return std::filesystem::path(directory_) / "helper";
    }

    std::string directory_;
};

} // namespace coldspare::fixup
