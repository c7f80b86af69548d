#include "clone/saved_ends.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t mib = 1 << 20;

/// A file stands in for the device: what is read and written is the same.
std::string noise(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t state = 1;
    for (char& c : text) {
        state = state * 1664525 + 1013904223;
        c = static_cast<char>(static_cast<unsigned char>(state >> 24));
    }
    return text;
}

Manifest clone_of(const std::string& content, std::uint32_t block_size) {
    Manifest manifest;
    manifest.geometry = {content.size(), block_size};
    for (std::size_t at = 0; at < content.size(); at += block_size) {
        manifest.leaves.push_back(
            hash_block(as_byte_span(std::string_view(content).substr(at, block_size))));
    }
    return manifest;
}

} // namespace

TEST_CASE("both ends are saved with what they were of, for their owner alone") {
    const TemporaryDirectory directory;
    const fs::path disk = directory / "disk";
    const std::string content = noise(3 * mib + 512);
    write_file_atomically(disk, content);
    const SavedEnds saved = save_ends(disk, directory / "state");
    CHECK(read_file(saved.first, 2 * mib) == content.substr(0, mib));
    CHECK(read_file(saved.last, 2 * mib) == content.substr(content.size() - mib));
    for (const fs::path& path : {saved.description, saved.first, saved.last}) {
        CHECK(path.parent_path() == directory / "state" / "saved");
        CHECK(path.filename().string().starts_with("disk-20"));
        CHECK((fs::status(path).permissions() & fs::perms::all) ==
              (fs::perms::owner_read | fs::perms::owner_write));
    }
    const nlohmann::json told = nlohmann::json::parse(read_file(saved.description, mib));
    CHECK(told["format"] == 1);
    CHECK(told["device"] == disk.string());
    CHECK(told["size"] == content.size());
    CHECK(told["first"] == nlohmann::json{{"file", saved.first.filename().string()},
                                          {"offset", 0},
                                          {"length", mib}});
    CHECK(told["last"] == nlohmann::json{{"file", saved.last.filename().string()},
                                         {"offset", content.size() - mib},
                                         {"length", mib}});
    for (const char* name : {"saved", "model", "serial", "wwn", "logical_sector"}) {
        CAPTURE(name);
        CHECK(told.contains(name));
    }
}

TEST_CASE("what was saved before is never overwritten") {
    const TemporaryDirectory directory;
    const fs::path disk = directory / "disk";
    write_file_atomically(disk, "one");
    const SavedEnds one = save_ends(disk, directory / "state");
    write_file_atomically(disk, "other");
    const SavedEnds other = save_ends(disk, directory / "state"); // within the same second
    CHECK(read_file(one.first, 100) == "one");
    CHECK(read_file(one.last, 100) == "one");
    CHECK(read_file(other.first, 100) == "other");
}

TEST_CASE("a disk whose ends cannot be saved is not overwritten") {
    const TemporaryDirectory directory;
    const fs::path disk = directory / "disk";
    write_file_atomically(disk, "x");
    write_file_atomically(directory / "state", "a file where a directory should be");
    const Error error = thrown_by([&] { static_cast<void>(save_ends(disk, directory / "state")); });
    CHECK(contains(error.message(), "saving the first and last MiB of '" + disk.string() + "': "));
}

TEST_CASE("the ends of a clone are its own until somebody writes there") {
    const TemporaryDirectory directory;
    const fs::path disk = directory / "disk";
    const std::string content = noise(3 * mib + 512);
    for (const std::uint32_t block_size : {4096U, 1U << 20, 4U << 20}) {
        CAPTURE(block_size);
        const Manifest clone = clone_of(content, block_size);
        write_file_atomically(disk, content);
        CHECK(ends_are_of(disk, clone));
        for (const std::size_t at :
             {std::size_t{0}, mib - 1, content.size() - mib, content.size() - 1}) {
            CAPTURE(at);
            std::string changed = content;
            changed[at] = static_cast<char>(~changed[at]);
            write_file_atomically(disk, changed);
            CHECK_FALSE(ends_are_of(disk, clone));
        }
        write_file_atomically(disk, content + "behind the clone");
        CHECK(ends_are_of(disk, clone));
        write_file_atomically(disk, content.substr(0, content.size() - 1));
        CHECK_FALSE(ends_are_of(disk, clone));
    }
    CHECK_FALSE(ends_are_of(directory / "none", clone_of(content, 4096)));
}

} // namespace coldspare::clone
