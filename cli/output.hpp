#pragma once

#include "base/clock.hpp"
#include "base/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace coldspare::cli {

enum class Format { text, json };

/// What a progress bar shows. Bytes count towards the goal; nothing is shown before `total` is
/// known.
struct ProgressView {
    std::string_view activity; ///< "copying", "reading back"
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    std::string_view bottleneck; ///< "source", "network", "target" or empty
};

/// All that the program prints. Results go to standard output; notes, warnings, errors and the bar
/// go to standard error. With Format::json standard output carries one JSON object a line and
/// nothing else. Safe to use from several threads.
class Output {
public:
    explicit Output(Format format);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    [[nodiscard]] Format format() const { return format_; }

    /// A line of the result, in text form only.
    void line(std::string_view text);
    /// A line that helps a person while it works: standard error, or {"event":"note"}.
    void note(std::string_view text);
    /// Standard error as it is, without a newline: what a person is asked. Nothing in JSON.
    void prompt(std::string_view text);
    /// "warning: ...", or {"event":"warning"}.
    void warning(std::string_view text);
    /// Any other JSON event; nothing in text form.
    void event(const nlohmann::json& object);
    /// Draws the bar (terminal only, at most 8 times a second), or emits {"event":"progress"} (at
    /// most once a second).
    void progress(const ProgressView& view);
    /// The final event of a success; `fields` are merged into it. Nothing in text form.
    void result(ExitStatus status, const nlohmann::json& fields);
    /// The end of a failure: message and hint, in the form of the format. Returns the exit status.
    int failure(const Error& error);

    /// What the final text says after the bar: wipes it from the line it stands in.
    void end_progress();

private:
    void wipe_bar();

    std::mutex mutex_;
    Format format_;
    bool terminal_;
    bool colour_;
    bool bar_shown_ = false;
    TimePoint last_draw_{};
    TimePoint started_{};
    // Rate over a sliding window: position some seconds ago.
    TimePoint window_start_{};
    std::uint64_t window_done_ = 0;
    double rate_ = 0;
};

} // namespace coldspare::cli
