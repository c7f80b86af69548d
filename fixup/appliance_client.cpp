#include "fixup/appliance_client.hpp"

#include "base/clock.hpp"
#include "base/process.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

/// A directory that goes with everything in it: a helper that was killed cannot tidy up.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        const fs::path parent = fs::temp_directory_path();
        path_ = (parent / "coldspare-fixup.XXXXXX").string();
        if (::mkdtemp(path_.data()) == nullptr) {
            throw system_error(fmt::format("cannot make a directory in '{}'", parent.string()),
                               errno);
        }
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// Collects the lines of the helper.
struct Conversation {
    const NoteCallback& note;
    std::optional<RepairReport> report;
    std::optional<Error> error;

    void take(std::string_view line) {
        ApplianceMessage message = decode_message(line);
        if (const std::string* text = std::get_if<std::string>(&message)) {
            note(printable(*text));
        } else if (RepairReport* whole = std::get_if<RepairReport>(&message)) {
            report = std::move(*whole);
        } else {
            error = std::get<Error>(message);
        }
    }
};

} // namespace

RepairReport run_appliance(const fs::path& program, const ApplianceRequest& request,
                           std::chrono::seconds timeout, const NoteCallback& note,
                           std::stop_token stop) {
    const TemporaryDirectory scratch;
    Conversation conversation{.note = note};
    constexpr std::size_t longest_line = std::size_t{16} << 20;
    const Command command{
        .argv = {program.string()},
        .input = encode_request(request),
        .environment = {"LIBGUESTFS_TMPDIR=" + scratch.path()},
        .deadline = timeout,
        .output_limit = longest_line,
        .on_line = [&conversation](std::string_view line) { conversation.take(line); }};
    const TimePoint start = Clock::now();
    ProcessResult result;
    try {
        result = run_process(command, std::move(stop));
    } catch (const Error& error) {
        if (Clock::now() - start >= timeout) {
            throw Error(
                fmt::format("the appliance did not end within {} s and was stopped",
                            timeout.count()),
                "nothing was changed; allow more with --timeout: without KVM a large system "
                "takes long");
        }
        throw;
    }
    if (conversation.error) {
        throw *std::move(conversation.error);
    }
    if (!conversation.report || result.exit_code != 0) {
        throw Error(fmt::format("'{}' ended with status {} and without a report: {}",
                                program.string(), result.exit_code,
                                printable(trim(result.err)).substr(0, 500)));
    }
    return *std::move(conversation.report);
}

} // namespace coldspare::fixup
