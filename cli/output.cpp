#include "cli/output.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

namespace coldspare::cli {

namespace {

using nlohmann::json;

/// Names from outside may hold bytes that are not UTF-8; JSON may not.
std::string dump(const json& object) {
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

void print(std::FILE* stream, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
}

unsigned terminal_width() {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) {
        return 80;
    }
    return size.ws_col;
}

std::string draw_bar(const ProgressView& view, double rate, unsigned width) {
    const double share = static_cast<double>(view.done) / static_cast<double>(view.total);
    std::string tail =
        fmt::format(" {:3.0f}%  {} of {}  {}/s", share * 100, format_bytes(view.done),
                    format_bytes(view.total), format_bytes(static_cast<std::uint64_t>(rate)));
    if (rate > 0) {
        tail += fmt::format("  {} left",
                            format_duration(static_cast<double>(view.total - view.done) / rate));
    }
    if (!view.bottleneck.empty()) {
        tail += fmt::format("  [{} is the limit]", view.bottleneck);
    }
    const std::size_t head = view.activity.size() + 3;
    const std::size_t room = width > head + tail.size() + 1 ? width - head - tail.size() - 1 : 0;
    const std::size_t cells = room < 40 ? room : 40;
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(cells));
    std::string text = fmt::format("{} [{}{}]{}", view.activity, std::string(filled, '#'),
                                   std::string(cells - filled, '.'), tail);
    if (text.size() >= width) {
        text.resize(width - 1);
    }
    return text;
}

} // namespace

Output::Output(Format format)
    : format_(format), terminal_(::isatty(STDERR_FILENO) == 1),
      colour_(terminal_ && std::getenv("NO_COLOR") == nullptr) {}

Output::~Output() {
    end_progress();
}

void Output::wipe_bar() {
    if (bar_shown_) {
        print(stderr, "\r\x1b[K");
        bar_shown_ = false;
    }
}

void Output::end_progress() {
    const std::scoped_lock lock(mutex_);
    wipe_bar();
    started_ = {};
    rate_ = 0;
}

void Output::line(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    wipe_bar();
    if (format_ == Format::text) {
        print(stdout, fmt::format("{}\n", text));
    }
}

void Output::note(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    wipe_bar();
    if (format_ == Format::json) {
        print(stdout, dump({{"event", "note"}, {"message", text}}) + "\n");
    } else {
        print(stderr, fmt::format("{}\n", text));
    }
}

void Output::prompt(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    wipe_bar();
    if (format_ == Format::text) {
        print(stderr, std::string(text));
    }
}

void Output::warning(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    wipe_bar();
    if (format_ == Format::json) {
        print(stdout, dump({{"event", "warning"}, {"message", text}}) + "\n");
    } else {
        print(stderr, fmt::format("{}warning:{} {}\n", colour_ ? "\x1b[33m" : "",
                                  colour_ ? "\x1b[0m" : "", text));
    }
}

void Output::event(const json& object) {
    const std::scoped_lock lock(mutex_);
    if (format_ == Format::json) {
        print(stdout, dump(object) + "\n");
    }
}

void Output::progress(const ProgressView& view) {
    const std::scoped_lock lock(mutex_);
    if (view.total == 0 || (format_ == Format::text && !terminal_)) {
        return;
    }
    const TimePoint now = Clock::now();
    if (started_ == TimePoint{} || view.done < window_done_) {
        started_ = now;
        window_start_ = now;
        window_done_ = view.done;
        last_draw_ = {};
        rate_ = 0;
    }
    const double window = Seconds(now - window_start_).count();
    if (window >= 1) {
        const double current = static_cast<double>(view.done - window_done_) / window;
        rate_ = rate_ == 0 ? current : 0.7 * rate_ + 0.3 * current;
        window_start_ = now;
        window_done_ = view.done;
    }
    const double pause = format_ == Format::json ? 1.0 : 0.125;
    if (last_draw_ != TimePoint{} && Seconds(now - last_draw_).count() < pause) {
        return;
    }
    last_draw_ = now;
    if (format_ == Format::text) {
        print(stderr, "\r" + draw_bar(view, rate_, terminal_width()) + "\x1b[K");
        bar_shown_ = true;
        return;
    }
    json object{{"event", "progress"},
                {"activity", view.activity},
                {"bytes_done", view.done},
                {"bytes_total", view.total},
                {"rate", static_cast<std::uint64_t>(rate_)},
                {"seconds", Seconds(now - started_).count()}};
    object["eta_seconds"] =
        rate_ > 0 ? json(static_cast<double>(view.total - view.done) / rate_) : json(nullptr);
    object["bottleneck"] = view.bottleneck.empty() ? json(nullptr) : json(view.bottleneck);
    print(stdout, dump(object) + "\n");
}

void Output::result(ExitStatus status, const json& fields) {
    end_progress();
    json object{{"event", "result"}, {"status", status_word(status)}};
    object.update(fields);
    event(object);
}

int Output::failure(const Error& error) {
    end_progress();
    const std::scoped_lock lock(mutex_);
    if (format_ == Format::json) {
        print(stdout, dump({{"event", "result"},
                            {"status", status_word(error.status())},
                            {"message", error.message()},
                            {"hint", error.hint()}}) +
                          "\n");
    } else {
        print(stderr, fmt::format("{}coldspare:{} {}\n", colour_ ? "\x1b[31m" : "",
                                  colour_ ? "\x1b[0m" : "", error.message()));
        if (!error.hint().empty()) {
            print(stderr, fmt::format("  hint: {}\n", error.hint()));
        }
    }
    return static_cast<int>(error.status());
}

} // namespace coldspare::cli
