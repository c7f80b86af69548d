#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/link.hpp"
#include "cli/program.hpp"
#include "clone/free_space.hpp"
#include "clone/nbd_uri.hpp"
#include "clone/sender.hpp"
#include "clone/sysfs.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>

namespace coldspare::cli {

namespace {

class SendCommand : public Command {
public:
    void declare(CLI::App& app) override {
        app.add_option("disk", disk_, "the disk, image or NBD export (URI) to serve")
            ->type_name("DISK")
            ->required();
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
        const bool is_export = clone::is_nbd_uri(disk_);
        if (is_export && used_only_) {
            throw usage_error(
                fmt::format("--used-only is not for '{}': file systems are looked for "
                            "on devices and images",
                            disk_),
                "leave it out: what the server knows to be zeros is not read anyway");
        }
        const std::unique_ptr<clone::Disk> disk = clone::open_source(disk_, parse_direct(direct_));
        if (is_export) {
            output.note("whether something writes to it during the copy, only its server knows");
        }
        for (const clone::sysfs::Use& use : clone::sysfs::uses_of(disk_)) {
            if (use.writes) {
                output.warning(fmt::format("{}: what is written during the copy may be torn in it; "
                                           "boot the live image for a sure copy",
                                           use.what));
            }
        }
        if (used_only_) {
            options.find_free = [this, &output](std::stop_token inner) {
                clone::FreeSpace space = clone::find_free_space(disk_, inner);
                for (const std::string& note : space.notes) {
                    output.note(note);
                }
                return std::move(space.ranges);
            };
        }
        const std::unique_ptr<clone::Peers> peers = link_.open(output, "receive");
        output.note(fmt::format("serving '{}' ({})", disk_, format_bytes(disk->facts().size)));
        const clone::CopyReport report = link_.run_sessions(
            output, progress_sink(output, "copying"), [&](const clone::ProgressSink& progress) {
                return clone::send_disk(*disk, *peers, options, progress, stop);
            });
        output.end_progress();
        print_report(output, report);
        nlohmann::json fields = to_json(report);
        fields["source"] = disk_;
        const ExitStatus status = status_of(report);
        output.result(status, fields);
        return status;
    }

private:
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
    std::string disk_;
    std::string compress_ = "auto";
    std::string limit_ = "max";
    std::string on_read_error_ = "skip";
    std::uint64_t block_size_ = clone::default_block_size;
    bool used_only_ = false;
    std::string direct_ = "auto";
};

} // namespace

std::unique_ptr<Command> make_send_command() {
    return std::make_unique<SendCommand>();
}

} // namespace coldspare::cli
