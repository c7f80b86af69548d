#include "cli/link.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace coldspare::cli {

void LinkOptions::declare(CLI::App& app) {
    auto* listen =
        app.add_option("--listen", listen_, "wait for the other side at this port (default 10000)")
            ->type_name("[ADDR:]PORT");
    app.add_option("--connect", connect_, "connect to the other side, which listens there")
        ->type_name("HOST:PORT")
        ->excludes(listen);
    app.add_option("--token-file", token_file_,
                   "file with the pairing token; the listening side makes it if it is missing")
        ->type_name("FILE");
    app.add_option("--pair", pair_,
                   "with a token: remember the other side by this name; later, instead of one")
        ->type_name("NAME");
    app.add_flag("--insecure", insecure_, "plain TCP: nobody is authenticated, nothing is secret");
    app.add_option("--streams", streams_, "data connections; 0 means as many as cores, at most 4")
        ->type_name("N")
        ->check(CLI::Range(0, 16));
    app.add_option("--retry-for", retry_for_,
                   "after a lost connection try again for this many seconds")
        ->type_name("SECONDS")
        ->capture_default_str()
        ->check(CLI::Range(0, 86400));
    declare_state_dir(app, state_dir_);
}

clone::Security LinkOptions::security(Output& output, clone::AddressUse use) {
    if (insecure_) {
        for (const auto& [option, value] :
             {std::pair("--token-file", &token_file_), std::pair("--pair", &pair_)}) {
            if (!value->empty()) {
                throw usage_error(fmt::format("--insecure and {} contradict each other", option),
                                  "leave out --insecure");
            }
        }
        output.warning(
            "--insecure: everybody on the network can read this disk, and write the copy");
        return {};
    }
    const std::optional<clone::Token> token = token_given();
    if (!pair_.empty()) {
        clone::check_pin_name(pair_);
        const clone::Pins pins(state_dir_);
        if (!token && token_file_.empty()) {
            pin_ = pins.find(pair_);
        } else if (pins.known(pair_)) {
            output.note(fmt::format("'{}' is paired already: pairing anew", pair_));
        }
        identity_ = clone::load_identity(state_dir_);
        if (pin_) {
            return clone::Pinned{pair_, identity_, pin_->fingerprint};
        }
    }
    if (token) {
        return *token;
    }
    if (use == clone::AddressUse::listen) {
        return make_token(output);
    }
    if (!token_file_.empty()) {
        throw usage_error(fmt::format("there is no token file '{}'", token_file_),
                          "give it with --token-file FILE or in COLDSPARE_TOKEN");
    }
    throw usage_error(
        pair_.empty()
            ? std::string("the connecting side needs the token that the listening side printed")
            : fmt::format("nothing is paired as '{}' yet: the first time the connecting side needs "
                          "the token that the listening side printed",
                          pair_),
        "give it with --token-file FILE or in COLDSPARE_TOKEN");
}

/// Takes it out of the environment: children have no use for it.
std::optional<clone::Token> LinkOptions::token_given() const {
    if (!token_file_.empty()) {
        return std::filesystem::exists(token_file_)
                   ? std::optional(clone::read_token_file(token_file_))
                   : std::nullopt;
    }
    const char* from_environment = std::getenv("COLDSPARE_TOKEN");
    if (from_environment == nullptr) {
        return std::nullopt;
    }
    clone::Token token = clone::parse_token(from_environment);
    ::unsetenv("COLDSPARE_TOKEN");
    return token;
}

clone::Token LinkOptions::make_token(Output& output) {
    const clone::Token token = clone::make_token();
    token_text_ = clone::format_token(token);
    if (!token_file_.empty()) {
        write_file_atomically(token_file_, token_text_ + "\n", 0600);
        output.note(fmt::format("made a new token in '{}'", token_file_));
    }
    return token;
}

/// `peers` with what --pair asks for.
std::unique_ptr<clone::Peers> LinkOptions::remembering(std::unique_ptr<clone::Peers> peers,
                                                       Output& output) const {
    if (pair_.empty()) {
        return peers;
    }
    const clone::Pins pins(state_dir_);
    const auto note = [&output](std::string_view text) { output.note(text); };
    const auto warn = [&output](std::string_view text) { output.warning(text); };
    return pin_ ? clone::paired_peers(std::move(peers), pins, *pin_, warn)
                : clone::pairing_peers(std::move(peers), pins, pair_, identity_.fingerprint, note,
                                       warn);
}

std::unique_ptr<clone::Peers> LinkOptions::open(Output& output, std::string_view counterpart) {
    const auto notice = [&output](std::string_view text) { output.note(text); };
    if (!connect_.empty()) {
        const clone::Address address = clone::parse_address(connect_, clone::AddressUse::connect);
        const clone::Security protection = security(output, clone::AddressUse::connect);
        return remembering(
            clone::connecting_peers(address, protection, std::chrono::seconds(retry_for_), notice),
            output);
    }
    const clone::Address asked =
        clone::parse_address(listen_.empty() ? "10000" : listen_, clone::AddressUse::listen);
    const clone::Security protection = security(output, clone::AddressUse::listen);
    clone::Listener listener(asked);
    const clone::Address bound = listener.address();
    output.event(
        {{"event", "listening"},
         {"address", bound.text()},
         {"port", bound.port},
         {"token", token_file_.empty() && !token_text_.empty() ? nlohmann::json(token_text_)
                                                               : nlohmann::json()}});
    if (output.format() == Format::text) {
        output.note(fmt::format("listening on {}{}", bound.text(),
                                pin_ ? fmt::format(" for '{}'", pair_) : ""));
        if (!token_text_.empty() && token_file_.empty()) {
            output.note(fmt::format(
                "on the other machine:\n  COLDSPARE_TOKEN={} \\\n  coldspare {} "
                "--connect THIS-MACHINE:{} {}{}",
                token_text_, counterpart, bound.port, pair_.empty() ? "" : "--pair THIS-MACHINE ",
                counterpart == "receive" ? "TARGET" : "DISK"));
        }
    }
    return remembering(clone::listening_peers(std::move(listener), protection,
                                              std::chrono::seconds(retry_for_), notice),
                       output);
}

void LinkOptions::run_sessions(
    Output& output, const clone::ProgressSink& progress,
    const std::function<void(const clone::ProgressSink&)>& session) const {
    std::optional<TimePoint> lost; // since then no session got on
    for (;;) {
        bool got_on = false;
        try {
            session([&](const clone::Progress& now) {
                got_on = got_on || now.done > 0;
                progress(now);
            });
            return;
        } catch (const Error& error) {
            lost = lost && !got_on ? *lost : Clock::now();
            if (error.status() != ExitStatus::incomplete ||
                Clock::now() - *lost >= std::chrono::seconds(retry_for_)) {
                throw;
            }
            output.end_progress();
            output.warning(fmt::format("{}: trying again for {} s", error.message(), retry_for_));
        }
    }
}

namespace {

/// Against the last full copy; 0 if that is not known, or was faster.
double saved_seconds(const clone::CopyReport& report) {
    return std::max(0.0, static_cast<double>(report.full_copy_ms) / 1000 - report.seconds);
}

} // namespace

nlohmann::json to_json(const clone::CopyReport& report) {
    nlohmann::json unreadable = nlohmann::json::array();
    for (const clone::Range& range : report.unreadable) {
        unreadable.push_back({{"offset", range.offset}, {"length", range.length}});
    }
    return {{"bytes_total", report.geometry.size},
            {"bytes_read", report.bytes_read},
            {"bytes_zero", report.bytes_zero},
            {"bytes_same", report.bytes_same},
            {"bytes_skipped", report.bytes_skipped},
            {"bytes_sent", report.bytes_sent},
            {"bytes_wire", report.bytes_wire},
            {"blocks_sent", report.blocks_sent},
            {"seconds", report.seconds},
            {"root", clone::hex(report.root)},
            {"unreadable", unreadable},
            {"resumed", report.resumed},
            {"reclone", report.reclone},
            {"trusted", report.trusted},
            {"saved_seconds", saved_seconds(report)},
            {"verified", report.verified}};
}

nlohmann::json join_disks(std::vector<nlohmann::json> disks) {
    if (disks.size() == 1) {
        return std::move(disks.front());
    }
    nlohmann::json joined{{"disks", nlohmann::json::array()}};
    for (const char* name : {"bytes_total", "bytes_read", "bytes_zero", "bytes_same",
                             "bytes_skipped", "bytes_sent", "bytes_wire", "blocks_sent"}) {
        std::uint64_t sum = 0;
        for (const nlohmann::json& disk : disks) {
            sum += disk.at(name).get<std::uint64_t>();
        }
        joined[name] = sum;
    }
    for (nlohmann::json& disk : disks) {
        joined["disks"].push_back(std::move(disk));
    }
    return joined;
}

ExitStatus status_of(const clone::CopyReport& report) {
    return report.unreadable.empty() ? ExitStatus::done : ExitStatus::incomplete;
}

void print_report(Output& output, const clone::CopyReport& report) {
    const clone::Geometry& geometry = report.geometry;
    const double rate =
        report.seconds > 0 ? static_cast<double>(geometry.size) / report.seconds : 0;
    output.line(fmt::format("root {}", clone::hex(report.root)));
    std::string parts = format_bytes(report.bytes_zero) + " zero, ";
    if (report.bytes_skipped > 0) {
        parts += format_bytes(report.bytes_skipped) + " unused, ";
    }
    if (report.resumed || report.reclone) {
        parts += format_bytes(report.bytes_same) + " there already, ";
    }
    output.line(fmt::format("{}{} sent as {} on the wire", parts, format_bytes(report.bytes_sent),
                            format_bytes(report.bytes_wire)));
    if (const double saved = saved_seconds(report); saved > 0) {
        output.line(fmt::format("{:.1f} s saved: a full copy took {:.1f} s", saved,
                                static_cast<double>(report.full_copy_ms) / 1000));
    }
    const std::uint64_t whole = geometry.size / geometry.block_size;
    const unsigned part = geometry.size % geometry.block_size != 0 ? 1 : 0;
    output.line(fmt::format("{}+{} records in", whole, part));
    output.line(fmt::format("{}+{} records out", whole, part));
    output.line(fmt::format("{} bytes ({}) copied, {:.3f} s, {}/s", geometry.size,
                            format_bytes(geometry.size), report.seconds,
                            format_bytes(static_cast<std::uint64_t>(rate))));
}

clone::ProgressSink progress_sink(Output& output, std::string_view activity) {
    return [&output, activity = std::string(activity)](const clone::Progress& progress) {
        output.progress(
            {progress.disk.empty() ? activity : fmt::format("{} {}", activity, progress.disk),
             progress.done, progress.total, progress.limit});
    };
}

} // namespace coldspare::cli
