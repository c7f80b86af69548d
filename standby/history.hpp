#pragma once

#include "base/handle.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What is done with a standby again and again, drills and re-clones, and what each has left:
/// STATE/standbys/NAME/drills/ID/ and STATE/standbys/NAME/reclones/ID/, with a report.json
/// (docs/FORMATS.md 12) and what was recorded beside it. Calls block, and throw Error.
namespace coldspare::standby {

enum class RunKind { drill, reclone };

/// `running` is also what a run says of itself that was killed: see RunHistory::last().
enum class RunOutcome { running, passed, failed, interrupted };

[[nodiscard]] std::string_view word(RunOutcome outcome);

/// A part of a run, in the order in which they were begun.
struct RunStep {
    std::string name; ///< "receive", "network", "boot"
    RunOutcome outcome = RunOutcome::running;
    double seconds = 0;
    std::string detail; ///< what a person wants to know of it, in a line
    friend bool operator==(const RunStep&, const RunStep&) = default;
};

/// Something that was looked at, and how it was.
struct RunCheck {
    std::string name; ///< "interface eth0", "port 143 closed"
    bool passed = false;
    std::string detail;
    friend bool operator==(const RunCheck&, const RunCheck&) = default;
};

struct RunRecord {
    RunKind kind = RunKind::drill;
    std::string id;      ///< "20261123T141500Z-1": their order is that of time
    std::string standby; ///< its name
    std::string program; ///< that ran it, and its version
    std::string started; ///< RFC 3339
    std::string ended;   ///< RFC 3339; empty while it runs
    RunOutcome outcome = RunOutcome::running;
    std::vector<RunStep> steps;
    std::vector<RunCheck> checks;
    std::vector<std::string> problems; ///< why it has not passed
    std::vector<std::string> clones;   ///< paths, in the order of the server's disks
    std::vector<std::string> roots;    ///< their root digests, in hex, or empty where not known
    std::vector<std::string> files;    ///< beside the report: "console.log"
    friend bool operator==(const RunRecord&, const RunRecord&) = default;
};

[[nodiscard]] std::string encode_run(const RunRecord& record);
/// Throws Error for what is no report of ours.
[[nodiscard]] RunRecord parse_run(std::string_view text);

/// The runs of one standby.
class RunHistory {
public:
    RunHistory(const std::filesystem::path& state_directory, std::string standby);

    /// Keeps every other run of this standby away, of either kind, until the Fd is closed: children
    /// do not inherit it. Throws Error (`locked`).
    [[nodiscard]] Fd lock() const;

    /// Makes a directory for a new run, and its first report. The caller has the lock.
    [[nodiscard]] RunRecord begin(RunKind kind, std::string program) const;
    /// Durable, and never half there.
    void save(const RunRecord& record) const;
    [[nodiscard]] std::filesystem::path directory_of(const RunRecord& record) const;

    /// Newest first. One whose report cannot be read is left out.
    [[nodiscard]] std::vector<RunRecord> runs(RunKind kind) const;
    /// The newest one that has ended in this way, or the newest at all.
    [[nodiscard]] std::optional<RunRecord> last(RunKind kind,
                                                std::optional<RunOutcome> outcome = {}) const;
    /// Removes the oldest ones beyond `keep`.
    void prune(RunKind kind, std::size_t keep) const;

private:
    [[nodiscard]] std::filesystem::path directory_of(RunKind kind) const;

    std::filesystem::path directory_; ///< STATE/standbys/NAME
    std::string standby_;
};

} // namespace coldspare::standby
