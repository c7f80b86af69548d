#include "base/files.hpp"
#include "base/inventory.hpp"
#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/free_space.hpp"
#include "clone/gather_inventory.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/sender.hpp"
#include "clone/uses.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace coldspare::cli {

namespace {

class SendCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("disk", names_, "the disks, images or NBD exports (URI) to serve")
            ->type_name("DISK")
            ->required()
            ->expected(1, clone::most_disks);
        link_.declare(app);
        app.add_option("--compress", compress_, "auto, none, or a zstd level from 1 to 19")
            ->type_name("auto|none|LEVEL")
            ->capture_default_str();
        app.add_option("--limit", limit_,
                       "bytes a second, as 20MiB, or by the time of day: 08:00-18:00=20MiB,*=max")
            ->type_name("RATE")
            ->capture_default_str();
        app.add_flag("--used-only", used_only_,
                     "leave out what ext2, ext3, ext4, XFS and swap do not use");
        app.add_option("--on-read-error", on_read_error_,
                       "skip: zeros for what cannot be read, and a list; stop: give up at once")
            ->type_name("skip|stop")
            ->check(CLI::IsMember({"skip", "stop"}))
            ->capture_default_str();
        app.add_option("--block-size", block_size_, "a power of two from 4KiB to 4MiB")
            ->type_name("SIZE")
            ->transform(CLI::AsSizeValue(false))
            ->default_str("256KiB");
        app.add_option("--inventory", inventory_,
                       "the inventory to send with the disks, in place of this machine's own")
            ->type_name("FILE");
        app.add_flag("--no-inventory", no_inventory_, "do not tell the target what this machine is")
            ->excludes("--inventory");
        declare_direct(app, direct_);
    }

    ExitStatus run(Output& output, std::stop_token stop) override {
        clone::SendOptions options{.program = std::string(program_and_version()),
                                   .streams = link_.streams(),
                                   .compression = parse_compression(compress_),
                                   .block_size = checked_block_size(),
                                   .on_read_error = on_read_error_ == "stop"
                                                        ? clone::OnReadError::stop
                                                        : clone::OnReadError::skip,
                                   .limit = clone::RateLimit::parse(limit_)};
        if (const auto uri = std::ranges::find_if(names_, clone::is_nbd_uri);
            used_only_ && uri != names_.end()) {
            throw usage_error(
                fmt::format("--used-only is not for '{}': file systems are looked for "
                            "on devices and images",
                            *uri),
                "leave it out: what the server knows to be zeros is not read anyway");
        }
        std::vector<std::unique_ptr<clone::Disk>> opened;
        std::vector<clone::SourceDisk> disks;
        for (const std::string& name : names_) {
            opened.push_back(clone::open_source(name, parse_direct(direct_)));
            disks.push_back(
                {.disk = opened.back().get(),
                 .inventoried = !inventory_.empty() || clone::is_of_this_machine(name)});
            warn_of_uses(name, output);
        }
        if (used_only_) {
            options.find_free = [&output](const clone::DiskFacts& disk, std::stop_token inner) {
                clone::FreeSpace space = clone::find_free_space(disk.name, inner);
                for (const std::string& note : space.notes) {
                    output.note(note);
                }
                return std::move(space.ranges);
            };
        }
        options.inventory = inventory_source(output);
        const std::unique_ptr<clone::Peers> peers = link_.open(output, "receive");
        for (const clone::SourceDisk& served : disks) {
            const clone::DiskFacts& facts = served.disk->facts();
            output.note(fmt::format("serving '{}' ({})", facts.name, format_bytes(facts.size)));
        }
        link_.run_sessions(output, progress_sink(output, "copying"),
                           [&](const clone::ProgressSink& progress) {
                               clone::send_disks(disks, *peers, options, progress, stop);
                           });
        output.end_progress();
        return conclude(disks, output);
    }

private:
    /// What is told of the machine in each session; an empty function if nothing is.
    [[nodiscard]] std::function<std::string()> inventory_source(Output& output) const {
        if (no_inventory_) {
            return {};
        }
        if (inventory_.empty()) {
            return [this, &output] {
                const Inventory inventory =
                    clone::gather_inventory(clone::this_machine(), program_and_version());
                if (!clone::runs_from(inventory, names_)) {
                    output.note("this system does not run from what is sent (a live system?): its "
                                "inventory is left out; --inventory names the server's own");
                    return std::string();
                }
                output.note("telling the target what this machine is (--no-inventory leaves that "
                            "out)");
                return encode_inventory(inventory);
            };
        }
        const std::string text = read_file(inventory_, largest_inventory);
        try {
            static_cast<void>(parse_inventory(text));
        } catch (Error& error) {
            error.prepend(fmt::format("reading '{}'", inventory_));
            throw;
        }
        return [text] { return std::string(trim(text)); };
    }

    static void warn_of_uses(const std::string& name, Output& output) {
        if (clone::is_nbd_uri(name)) {
            output.note("whether something writes to it during the copy, only its server knows");
            return;
        }
        for (const clone::Use& use : clone::uses_of(name)) {
            if (use.writes) {
                output.warning(fmt::format("{}: what is written during the copy may be torn in it; "
                                           "boot the live image for a sure copy",
                                           use.what));
            }
        }
    }

    static ExitStatus conclude(const std::vector<clone::SourceDisk>& disks, Output& output) {
        std::vector<nlohmann::json> results;
        ExitStatus status = ExitStatus::done;
        for (const clone::SourceDisk& served : disks) {
            const std::string& name = served.disk->facts().name;
            if (!served.report && served.begun) {
                output.warning(fmt::format("the target did not say that it has all of '{}', and "
                                           "does not ask for it any more",
                                           name));
                status = ExitStatus::incomplete;
                continue;
            }
            if (!served.report) {
                output.note(fmt::format("'{}' was not asked for", name));
                continue;
            }
            if (disks.size() > 1) {
                output.line(fmt::format("'{}':", name));
            }
            print_report(output, *served.report);
            results.push_back(to_json(*served.report));
            results.back()["source"] = name;
            if (status_of(*served.report) != ExitStatus::done) {
                status = status_of(*served.report);
            }
        }
        output.result(status, join_disks(std::move(results)));
        return status;
    }

    static clone::Compression parse_compression(const std::string& text) {
        using Mode = clone::Compression::Mode;
        if (text == "auto") {
            return {Mode::automatic};
        }
        if (text == "none") {
            return {Mode::none};
        }
        const bool digits = !text.empty() && text.size() <= 2 &&
                            text.find_first_not_of("0123456789") == std::string::npos;
        if (!digits || std::stoi(text) < 1 || std::stoi(text) > 19) {
            throw usage_error(fmt::format("--compress '{}' is not auto, none or 1 to 19", text),
                              "auto is right unless it was measured otherwise");
        }
        return {Mode::fixed, std::stoi(text)};
    }

    [[nodiscard]] std::uint32_t checked_block_size() const {
        if (!clone::is_block_size(block_size_)) {
            throw usage_error(fmt::format("--block-size {} is not a power of two from 4 KiB to "
                                          "4 MiB",
                                          block_size_),
                              "leave it out unless it was measured otherwise");
        }
        return static_cast<std::uint32_t>(block_size_);
    }

    LinkOptions link_;
    std::vector<std::string> names_;
    std::string compress_ = "auto";
    std::string limit_ = "max";
    std::string on_read_error_ = "skip";
    std::uint64_t block_size_ = clone::default_block_size;
    std::string inventory_;
    bool no_inventory_ = false;
    bool used_only_ = false;
    std::string direct_ = "auto";
};

} // namespace

std::unique_ptr<Command> make_send_command() {
    return std::make_unique<SendCommand>();
}

} // namespace coldspare::cli
