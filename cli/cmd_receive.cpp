#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/ask.hpp"
#include "cli/command.hpp"
#include "cli/layout_options.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/generations.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/places.hpp"
#include "clone/receiver.hpp"
#include "clone/target.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace coldspare::cli {

namespace {

/// One DISK=TARGET: where a disk goes.
struct Place {
    std::string wanted;              ///< empty: the only disk of the source
    std::string target;              ///< as it was named
    std::filesystem::path path = {}; ///< what is written: the target, or its next generation
    std::optional<clone::Generations> generations = {};
    std::unique_ptr<clone::Target> copy = {};
};

/// "DISK=TARGET". Where there is one target, its own name may have a '=': "=TARGET".
Place parse_place(const std::string& words, bool only) {
    const std::size_t equals = words.find('=');
    const bool uri = words.find("://") < equals;
    if (equals == std::string::npos || uri) {
        if (!only) {
            throw usage_error(
                fmt::format("'{}' does not say which disk of the source it is for", words),
                "with several targets write DISK=TARGET, by name or serial number");
        }
        return {.wanted = {}, .target = words};
    }
    Place place{.wanted = words.substr(0, equals), .target = words.substr(equals + 1)};
    if (place.target.empty() || (place.wanted.empty() && !only)) {
        throw usage_error(fmt::format("'{}' is not DISK=TARGET", words),
                          "for example sda=/srv/standby/mail.img");
    }
    return place;
}

class ReceiveCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("target", targets_,
                       "block device, URI of an NBD export, or image file to make; DISK=TARGET "
                       "where the source has several disks, by name or serial number")
            ->type_name("[DISK=]TARGET")
            ->required()
            ->expected(1, clone::most_disks);
        link_.declare(app);
        app.add_flag("--erase", erase_, "overwrite a device, or a file that exists");
        app.add_flag("--full", full_,
                     "copy everything, whatever an earlier run has left on the target");
        app.add_flag("--trust-manifest", trust_,
                     "do not read an earlier clone that nobody has written to since; whole blocks "
                     "travel then")
            ->excludes("--full");
        app.add_option("--keep", keep_,
                       "leave the earlier clones of an image as they are, this many of them, and "
                       "make a new generation")
            ->type_name("N")
            ->check(CLI::Range(1, 1000));
        app.add_flag("--rollback", rollback_,
                     "make the generation before the current one current again");
        app.add_flag("--verify", verify_, "read the medium back before saying that it is done");
        layout_.declare(app);
        declare_direct(app, direct_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        if (rollback_) {
            return roll_back(output);
        }
        if (layout_.dry_run() && (targets_.size() > 1 || keep_ > 0)) {
            throw usage_error("--dry-run shows the plan of one target that is there",
                              "name one, and leave --keep out");
        }
        for (const std::string& words : targets_) {
            places_.push_back(parse_place(words, targets_.size() == 1));
        }
        std::vector<clone::TargetDisk> disks;
        for (Place& place : places_) {
            prepare(place, output, stop);
            disks.push_back({.wanted = place.wanted, .destination = place.copy.get()});
        }
        const std::unique_ptr<clone::Peers> peers = link_.open(output, "send");
        const clone::ReceiveOptions options{.program = std::string(program_and_version()),
                                            .streams = link_.streams(),
                                            .read_back = verify_ ? clone::ReadBack::yes
                                                                 : clone::ReadBack::no};
        const auto session = [&](const clone::ProgressSink& progress) {
            clone::receive_disks(disks, *peers, options, progress, stop);
        };
        if (layout_.dry_run()) {
            return show_plan(output, session);
        }
        link_.run_sessions(output, progress_sink(output, "copying"), session);
        output.end_progress();
        finish(output, stop);
        return conclude(disks, output, stop);
    }

private:
    void prepare(Place& place, Output& output, const std::stop_token& stop) {
        const auto note = [&output](std::string_view text) { output.note(text); };
        place.path = place.target;
        if (keep_ > 0) {
            place.generations.emplace(place.target, note);
            place.path = place.generations->choose(keep_, stop);
        } else if (clone::has_generations(place.target)) {
            throw refusal(fmt::format("overwrite '{}': it is the current one of its generations",
                                      clone::resolve_generation(place.target).string()),
                          "say --keep 1 to make the next one and leave this as it is");
        }
        const bool overwrites = erase_ || layout_.dry_run(); // which writes nothing
        place.copy = std::make_unique<clone::Target>(clone::TargetRequest{
            .path = place.path,
            .existing = overwrites ? clone::Existing::erase : clone::Existing::refuse,
            .earlier = full_    ? clone::Earlier::ignore
                       : trust_ ? clone::Earlier::trust
                                : clone::Earlier::go_on,
            .direct = parse_direct(direct_),
            .state_dir = link_.state_dir(),
            .partitions = layout_.options(),
            .ask = overwrite_question(place.path.string(), output, stop),
            .notice = note,
            .make_ready = ready_maker(place, stop)});
        place.copy->check();
        if (verify_ && clone::is_nbd_uri(place.target)) {
            output.note(std::string(read_back_over_nbd));
        }
        const std::string overlay = place.path.string() + ".fixup.qcow2";
        if (std::filesystem::exists(overlay)) {
            output.warning(
                fmt::format("'{}' belongs to the copy that is erased now: run 'coldspare "
                            "fixup' again before the virtual machine is started",
                            overlay));
        }
        if (clone::lies_in_memory(place.path)) {
            output.warning(fmt::format("'{}' lies in memory: the copy is gone when this machine "
                                       "goes down",
                                       place.path.string()));
        }
    }

    /// A generation is made when the source is there: a run that finds none changes nothing.
    [[nodiscard]] std::function<void(const clone::DiskFacts&)>
    ready_maker(Place& place, const std::stop_token& stop) const {
        if (!place.generations) {
            return {};
        }
        return [this, &generations = *place.generations, stop](const clone::DiskFacts& source) {
            generations.make_ready(source,
                                   erase_ ? clone::Existing::erase : clone::Existing::refuse, stop);
        };
    }

    /// What is left to do when all is copied. The disks of a server become current together, and
    /// nothing is removed before.
    void finish(Output& output, const std::stop_token& stop) {
        for (const Place& place : places_) {
            for (const std::string& text : place.copy->finish(stop)) {
                output.note(text);
            }
        }
        for (Place& place : places_) {
            if (place.generations) {
                place.generations->publish();
            }
        }
        for (Place& place : places_) {
            if (place.generations) {
                place.generations->prune();
            }
        }
    }

    ExitStatus conclude(const std::vector<clone::TargetDisk>& disks, Output& output,
                        const std::stop_token& stop) const {
        std::vector<nlohmann::json> results;
        ExitStatus status = ExitStatus::done;
        for (std::size_t i = 0; i < disks.size(); ++i) {
            const clone::CopyReport& report = *disks[i].report;
            const clone::Target& target = *places_[i].copy;
            if (disks.size() > 1) {
                output.line(fmt::format("'{}' to '{}':", disks[i].wanted, target.path().string()));
            }
            print_report(output, report);
            nlohmann::json fields = to_json(report);
            if (target.layout()) {
                fields["layout"] = to_json(*target.layout());
            }
            fields["target"] = target.path().string();
            fields["manifest"] = target.manifest().string();
            if (std::filesystem::exists(target.inventory())) {
                fields["inventory"] = target.inventory().string();
            }
            if (target.saved()) {
                fields["saved"] = target.saved()->description.string();
            }
            if (!report.unreadable.empty()) {
                report_unreadable(output, report, target, fields, stop);
                status = status_of(report);
            }
            results.push_back(std::move(fields));
        }
        output.result(status, join_disks(std::move(results)));
        return status;
    }

    /// A session that ends with the plan.
    template <typename Session>
    ExitStatus show_plan(Output& output, const Session& session) const {
        const clone::Target& target = *places_.front().copy;
        try {
            session([](const clone::Progress&) {});
        } catch (const Error& error) {
            if (!target.layout() || error.status() != ExitStatus::incomplete) {
                throw;
            }
        }
        output.result(ExitStatus::done,
                      {{"target", target.path().string()}, {"layout", to_json(*target.layout())}});
        return ExitStatus::done;
    }

    ExitStatus roll_back(Output& output) const {
        if (targets_.size() > 1) {
            throw usage_error("--rollback takes one image at a time",
                              "roll each of a server's disks back");
        }
        const std::string& image = targets_.front();
        clone::Generations generations(image,
                                       [&output](std::string_view text) { output.note(text); });
        const clone::Generations::Rollback done = generations.roll_back();
        output.line(fmt::format("'{}' is '{}' again; '{}' is what the next re-clone overwrites",
                                image, done.to.string(), done.from.string()));
        if (!done.bootable) {
            output.warning(fmt::format("'{}' was never fixed up: run 'coldspare fixup {}' before "
                                       "the virtual machine is started",
                                       done.to.string(), image));
        }
        output.result(ExitStatus::done, {{"target", done.to.string()},
                                         {"given_up", done.from.string()},
                                         {"bootable", done.bootable}});
        return ExitStatus::done;
    }

    /// What a person on a terminal is asked in place of a refusal; nothing off a terminal.
    static std::function<std::string(const clone::OverwriteQuestion&)>
    overwrite_question(const std::string& path, Output& output, const std::stop_token& stop) {
        if (!can_ask(output)) {
            return {};
        }
        return [path, &output, stop](const clone::OverwriteQuestion& question) {
            output.note(fmt::format("'{}' would be overwritten:", path));
            for (const std::string& line : question.lines) {
                output.note("  " + line);
            }
            return ask(output, fmt::format("Type its {} to overwrite it: ", question.noun), stop);
        };
    }

    /// Says what is zeros in the copy because the source could not read it, and whose it was.
    void report_unreadable(Output& output, const clone::CopyReport& report,
                           const clone::Target& target, nlohmann::json& fields,
                           std::stop_token stop) const {
        nlohmann::json list = nlohmann::json::array();
        std::uint64_t bytes = 0;
        for (const clone::Place& place : clone::places_of(
                 target.path(), target.lying_at(report.unreadable), look_for_files, stop)) {
            bytes += place.range.length;
            output.line("unreadable: " + place.text());
            list.push_back({{"offset", place.range.offset},
                            {"length", place.range.length},
                            {"partition", place.partition},
                            {"type", place.type},
                            {"label", place.label},
                            {"holders", place.holders}});
        }
        fields["unreadable"] = list;
        std::string text = fmt::format(
            "{} of the source could not be read and are zeros in the copy", format_bytes(bytes));
        if (std::filesystem::exists(target.map())) { // None where partitions have moved.
            fields["map"] = target.map().string();
            text += fmt::format("; '{}' lists them for ddrescue", target.map().string());
        }
        output.warning(text);
    }

    static constexpr std::chrono::seconds look_for_files{20};

    LinkOptions link_;
    LayoutOptions layout_;
    std::vector<std::string> targets_;
    std::vector<Place> places_; ///< of targets_, in their order
    std::string direct_ = "auto";
    unsigned keep_ = 0;
    bool rollback_ = false;
    bool erase_ = false;
    bool full_ = false;
    bool trust_ = false;
    bool verify_ = false;
};

} // namespace

std::unique_ptr<Command> make_receive_command() {
    return std::make_unique<ReceiveCommand>();
}

} // namespace coldspare::cli
