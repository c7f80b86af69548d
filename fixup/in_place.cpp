#include "fixup/in_place.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "fixup/ask.hpp"
#include "fixup/binding.hpp"
#include "fixup/overlay.hpp"
#include "fixup/undo_file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <unistd.h>

namespace coldspare::fixup {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

constexpr std::chrono::seconds commit_deadline{1800};

/// The files of one device.
struct Files {
    explicit Files(const ImageRequest& request)
        : device(request.image), overlay(overlay_of(request)), undo(fs::path(overlay) += ".undo"),
          report(binding_path(overlay)), root(request.base_root) {}

    fs::path device;
    fs::path overlay;
    fs::path undo;
    fs::path report;
    std::string root; ///< of the clone that is on the device now
};

/// Held for a whole run: two would put back what the other one writes.
Fd lock_of(const Files& files) {
    Fd lock = open_file(fs::path(files.overlay) += ".lock", O_RDWR | O_CREAT, 0600);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        throw Error(fmt::format("another run is at work on '{}'", files.device.string()),
                    "wait until it has ended", ExitStatus::locked);
    }
    return lock;
}

std::string hex_of(std::uint64_t sum) {
    return fmt::format("{:016x}", sum);
}

enum class State {
    as_cloned,   ///< nothing was ever fixed, or the clone was made anew since
    interrupted, ///< a run was killed while it wrote
    fixed,       ///< as a run of ours left it
    written_to,  ///< a machine has run from it
};

State state_of(const Files& files) {
    if (!fs::exists(files.undo)) {
        return State::as_cloned;
    }
    if (read_undo_file(files.undo).root != files.root) {
        return State::as_cloned; // anew, since
    }
    const std::optional<Binding> binding = read_binding(files.report);
    if (!binding) {
        return State::interrupted;
    }
    const std::uint64_t sum = sum_of(files.device, read_undo_file(files.undo).ranges);
    const auto about = std::ranges::find(binding->layers, files.device.string(), &Layer::base);
    if (about != binding->layers.end() && about->written == hex_of(sum)) {
        return State::fixed;
    }
    return sum == saved_sum(files.undo) ? State::as_cloned : State::written_to;
}

[[noreturn]] void refuse_written(const Files& files, std::string_view action) {
    throw refusal(
        fmt::format("{} '{}': somebody wrote to it since fixup did", action, files.device.string()),
        fmt::format("if it was cloned anew, or nothing in it is needed, remove '{}' and '{}'",
                    files.undo.string(), files.report.string()));
}

void forget(const Files& files) {
    // The report first: the bytes without it are an interrupted run, which is put back.
    remove_file_durably(files.report);
    remove_file_durably(files.undo);
}

/// Until the end it is an interrupted run, which the next one puts back.
void restore(const Files& files) {
    remove_file_durably(files.report);
    put_back(files.undo, files.device);
    remove_file_durably(files.undo);
}

/// Where an overlay has something of its own.
std::vector<ByteRange> ranges_of(const fs::path& overlay, std::stop_token stop) {
    const ProcessResult result =
        run_checked({.argv = {"qemu-img", "map", "--output=json", "-f", "qcow2", overlay.string()},
                     .deadline = commit_deadline,
                     .output_limit = std::size_t{256} << 20},
                    std::move(stop));
    std::vector<ByteRange> ranges;
    const json map = json::parse(result.out, nullptr, false);
    if (!map.is_array()) { // nothing would be saved, and everything written
        throw Error(fmt::format("'qemu-img map' of '{}' printed no list", overlay.string()));
    }
    try {
        for (const json& entry : map) {
            if (entry.at("depth") != 0) {
                continue;
            }
            const ByteRange range{entry.at("start"), entry.at("length")};
            if (!ranges.empty() && ranges.back().end() == range.offset) {
                ranges.back().length += range.length;
            } else {
                ranges.push_back(range);
            }
        }
    } catch (const json::exception& error) {
        throw Error(fmt::format("'qemu-img map' of '{}' cannot be understood: {}", overlay.string(),
                                error.what()));
    }
    return ranges;
}

void write_to_device(const fs::path& overlay, const Files& files, std::stop_token stop) {
    run_checked({.argv = {"qemu-img", "commit", "-q", "-d", "-f", "qcow2", overlay.string()},
                 .deadline = commit_deadline},
                std::move(stop));
    const Fd fd = open_file(files.device, O_RDONLY);
    if (::fsync(fd.get()) != 0) {
        throw system_error(fmt::format("cannot flush '{}' to its medium", files.device.string()),
                           errno);
    }
}

class Run {
public:
    Run(const FixupRequest& request, const NoteCallback& note, std::stop_token stop)
        : request_(request), note_(note), stop_(std::move(stop)) {
        check_distinct(request_.images);
        for (const ImageRequest& each : request_.images) {
            make_parent_directories(overlay_of(each), "");
            files_.emplace_back(each);
            locks_.push_back(lock_of(files_.back()));
            bases_.push_back(
                std::make_unique<BaseImage>(each.image, stop_, BaseKind::file_or_device));
        }
    }

    FixupResult work() {
        const bool fixed = settle();
        accelerator_ = choose_accelerator(request_, note_, stop_);
        if (fixed || request_.depth == Depth::look) {
            RepairReport report = ask(devices(), DiskFormat::raw, Depth::look);
            if (request_.depth == Depth::look || report.is_clean()) {
                return result(std::move(report));
            }
            note_("the devices are not as they should be: starting from the clone again");
            put_all_back();
        }
        return build();
    }

private:
    /// Puts back what an interrupted run has left. Returns whether all are fixed for these wishes.
    [[nodiscard]] bool settle() {
        bool fixed = true;
        for (std::size_t i = 0; i < files_.size(); ++i) {
            const Files& files = files_[i];
            const State state = state_of(files);
            if (state == State::written_to) {
                refuse_written(files, "fix");
            }
            if (state == State::interrupted && request_.depth == Depth::look) {
                throw Error(fmt::format("a fixup of '{}' was interrupted", files.device.string()),
                            "run it again without --plan, or with --undo: both put back first",
                            ExitStatus::incomplete);
            }
            if (state == State::interrupted) {
                note_(fmt::format("'{}' was being fixed when a run ended: putting back",
                                  files.device.string()));
                restore(files);
            }
            const std::optional<Binding> binding = read_binding(files.report);
            fixed = fixed && state == State::fixed && binding->wishes == request_.wishes &&
                    binding->root == request_.root;
        }
        if (!fixed && request_.depth == Depth::mend) {
            put_all_back();
        }
        return fixed;
    }

    void put_all_back() const {
        for (const Files& files : files_) {
            if (state_of(files) == State::fixed) {
                restore(files);
            } else {
                forget(files);
            }
        }
    }

    [[nodiscard]] std::vector<fs::path> devices() const {
        std::vector<fs::path> paths;
        for (const Files& files : files_) {
            paths.push_back(files.device);
        }
        return paths;
    }

    [[nodiscard]] RepairReport ask(const std::vector<fs::path>& disks, DiskFormat format,
                                   Depth depth) const {
        return ask_appliance(request_, {disks, format, depth, accelerator_}, note_, stop_);
    }

    [[nodiscard]] FixupResult result(RepairReport report) const {
        return result_of(request_, devices(), accelerator_, std::move(report));
    }

    [[nodiscard]] FixupResult build() const {
        std::deque<NewOverlay> fresh;
        std::vector<fs::path> partial;
        for (std::size_t i = 0; i < files_.size(); ++i) {
            fresh.emplace_back(files_[i].overlay, *bases_[i], stop_);
            partial.push_back(fresh.back().partial());
        }
        RepairReport report = ask(partial, DiskFormat::qcow2, Depth::mend);
        check_no_obstacle(request_, report);
        for (const NewOverlay& overlay : fresh) {
            overlay.check(stop_);
        }
        try {
            write_all_to_devices(partial, report);
        } catch (...) {
            for (const Files& files : files_) {
                // A report that is no file is why it failed, perhaps: it does not keep us from it.
                if (fs::is_regular_file(files.report)) {
                    remove_file_durably(files.report);
                }
                if (fs::exists(files.undo)) {
                    put_back(files.undo, files.device);
                    remove_file_durably(files.undo);
                }
            }
            throw;
        }
        FixupResult made = result(std::move(report));
        made.changed = true;
        return made;
    }

    void write_all_to_devices(const std::vector<fs::path>& overlays,
                              const RepairReport& report) const {
        std::vector<std::vector<ByteRange>> ranges;
        for (std::size_t i = 0; i < files_.size(); ++i) {
            ranges.push_back(ranges_of(overlays[i], stop_));
            write_undo_file(files_[i].undo, files_[i].device, files_[i].root, ranges.back());
        }
        Binding binding = binding_of(request_, accelerator_, report);
        for (std::size_t i = 0; i < files_.size(); ++i) {
            note_(fmt::format("writing to '{}'", files_[i].device.string()));
            write_to_device(overlays[i], files_[i], stop_);
            binding.layers.push_back({.base = files_[i].device.string(),
                                      .base_root = request_.images[i].base_root,
                                      .written = hex_of(sum_of(files_[i].device, ranges[i]))});
        }
        for (const Files& files : files_) {
            write_file_atomically(files.report, encode_binding(binding), report_mode);
        }
    }

    const FixupRequest& request_;
    const NoteCallback& note_;
    std::stop_token stop_;
    std::vector<std::unique_ptr<BaseImage>> bases_;
    std::vector<Files> files_;
    std::vector<Fd> locks_;
    Accelerator accelerator_ = Accelerator::tcg;
};

} // namespace

FixupResult fix_in_place(const FixupRequest& request, const NoteCallback& note,
                         std::stop_token stop) {
    return Run(request, note, std::move(stop)).work();
}

std::vector<fs::path> undo_in_place(const std::vector<ImageRequest>& images) {
    check_distinct(images);
    std::vector<Files> all;
    std::vector<Fd> locks;
    std::vector<std::unique_ptr<BaseImage>> unused; // nobody has them in use
    for (const ImageRequest& each : images) {
        all.emplace_back(each);
        make_parent_directories(all.back().overlay, "");
        locks.push_back(lock_of(all.back()));
        unused.push_back(
            std::make_unique<BaseImage>(each.image, std::stop_token(), BaseKind::file_or_device));
        if (state_of(all.back()) == State::written_to) {
            refuse_written(all.back(), "put back");
        }
    }
    std::vector<fs::path> done;
    for (const Files& files : all) {
        const State state = state_of(files);
        if (state == State::fixed || state == State::interrupted) {
            restore(files);
            done.push_back(files.device);
        } else {
            forget(files);
        }
    }
    return done;
}

} // namespace coldspare::fixup
