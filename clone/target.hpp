#pragma once

#include "clone/disk.hpp"
#include "clone/export_target.hpp"
#include "clone/journal.hpp"
#include "clone/overwrite.hpp"
#include "clone/receiver.hpp"
#include "clone/saved_ends.hpp"
#include "clone/target_layout.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

namespace coldspare::clone {

enum class Existing { refuse, erase };

/// What to do with what an earlier run has left on the target, finished or not.
enum class Earlier {
    go_on,
    ignore,
    trust, ///< go_on, and the manifest of a clone is believed where nothing speaks against it
};

struct TargetRequest {
    std::filesystem::path path;           ///< or the URI of an NBD export
    Existing existing = Existing::refuse; ///< what to do with a device or a file that is there
    Earlier earlier = Earlier::go_on;
    DirectIo direct = DirectIo::automatic;
    std::filesystem::path state_dir;            ///< for manifest_path() and save_ends()
    std::optional<PartitionOptions> partitions; ///< nothing: the whole disk
    /// Asks a person for what is there, in place of a refusal without Existing::erase; returns what
    /// was typed. Empty: there is nobody to be asked.
    std::function<std::string(const OverwriteQuestion&)> ask;
    Notice notice = [](std::string_view) {}; ///< told what is received into what
    /// Called once, when the source is known and before anything is looked at: puts there what is
    /// to be renewed. Empty function: nothing.
    std::function<void(const DiskFacts&)> make_ready;
};

/// The target of one run: what may be destroyed is decided here. A file that this run made and in
/// which nothing is durable yet is removed again; nothing else is ever removed but the old manifest
/// and the journal.
class Target : public Destination {
public:
    explicit Target(TargetRequest request);
    ~Target() override;
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    /// What can be refused without knowing the source: an existing file or a device without
    /// Existing::erase, unless it is an image with a clone or an unfinished copy, an NBD export
    /// with a clone, or a person who is asked types what it is; one in use (clone/uses.hpp). Throws
    /// Error (status 4, or 5 if another run has it). Writes nothing. An export is connected to, and
    /// stays so.
    void check();

    /// check(), which must find the very disk that it found before; then check_fits(), then opens
    /// it: a missing file is made in the source's size, with its journal. What another disk was
    /// copied to is refused without Existing::erase.
    [[nodiscard]] Opened open(const DiskFacts& source, const Geometry& geometry) override;

    /// What was on a device is saved, then the journal is in place, then an old manifest is
    /// removed, both durably.
    void begin() override;
    void told_table(TableRegions table) override { layout_.told(std::move(table)); }
    void told_inventory(std::string_view inventory) override { inventory_ = inventory; }
    /// With Earlier::trust and a clone that is renewed.
    [[nodiscard]] std::vector<Leaf> prove(Disk& disk, const Geometry& geometry) override;
    void record(std::span<const Range> durable) override;
    [[nodiscard]] std::unique_ptr<Disk> open_medium() override;

    /// Writes the inventory and the manifest, and removes the journal. Throws Error if the path no
    /// longer names what open() opened: a copy that nobody can find.
    void keep(Manifest manifest) override;

    /// What is left to do when the session is over (TargetLayout::finish()).
    [[nodiscard]] std::vector<std::string> finish(std::stop_token stop) const {
        return layout_.finish(request_.path, std::move(stop));
    }
    /// Where these bytes of the source lie on the target.
    [[nodiscard]] std::vector<Range> lying_at(const std::vector<Range>& source) const {
        return layout() ? layout()->view.on_target(source) : source;
    }
    /// How the target is laid out, if it is not the source byte for byte.
    [[nodiscard]] const std::optional<Layout>& layout() const { return layout_.layout(); }

    [[nodiscard]] const std::filesystem::path& path() const { return request_.path; }
    [[nodiscard]] std::filesystem::path manifest() const;
    /// Where keep() puts what the source told of its machine; without that, nothing is there.
    [[nodiscard]] std::filesystem::path inventory() const;
    /// Where keep() lists what the source could not read.
    [[nodiscard]] std::filesystem::path map() const;

    /// Where the ends of the overwritten device were saved, if they were.
    [[nodiscard]] const std::optional<SavedEnds>& saved() const { return saved_; }

    /// Whether something of an unfinished copy is on the target, for the next run to go on with.
    [[nodiscard]] bool unfinished() const { return journal_.has_value(); }

private:
    /// Which disk or file the path named; numbers of the kernel, good while it runs.
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        dev_t node = 0;
        std::uint64_t size = 0;
        std::string serial;
        std::string wwn;
        bool operator==(const Stamp&) const = default;
    };
    void check_export();
    [[nodiscard]] static std::optional<Stamp> look(const std::filesystem::path& path);

    /// The journal of an interrupted run whose target this is.
    [[nodiscard]] std::optional<JournalContent> find_journal() const;
    /// What the manifest says of the clone but its leaves, if it is readable: nothing is believed.
    [[nodiscard]] std::optional<Manifest> find_clone() const;
    [[nodiscard]] DiskFacts facts() const;
    /// Whether the file is the very one that was written then.
    [[nodiscard]] bool is_our_file(const std::optional<Manifest>& clone) const;
    /// What an earlier run has left, for open(). Throws Error (a refusal).
    void find_earlier();
    [[nodiscard]] JournalHead head_for(const DiskFacts& source, const Geometry& geometry) const;
    void check_still_there() const;
    /// Somebody said that what is there may be overwritten, or it is refused.
    void require_leave();
    void save_what_was_there();

    TargetRequest request_;
    TargetLayout layout_{request_.partitions};
    std::optional<JournalHead> head_;       ///< of this session
    std::optional<JournalContent> resumed_; ///< the journal to go on with
    bool renewed_ = false;                  ///< a clone is compared with its source, and renewed
    std::uint64_t full_copy_ms_ = 0;        ///< of that clone
    std::optional<Journal> journal_;
    bool checked_ = false;
    std::optional<Stamp> seen_; ///< by check(); nothing: there was no such file
    std::optional<Stamp> opened_;
    bool ends_settled_ = false; ///< saved, or nothing that is lost: by this run or an earlier one
    std::optional<SavedEnds> saved_;
    bool recorded_ = false;                ///< by this run: what is unfinished now is its own
    std::unique_ptr<ExportTarget> export_; ///< where the target is one
    bool export_is_ours_ = false;
    std::string inventory_; ///< of this session; may be empty
    bool made_ = false;     ///< by this run, and nothing in it is durable
};

/// Whether a file at this path would lie in memory (tmpfs, ramfs) and be gone at the next boot.
[[nodiscard]] bool lies_in_memory(const std::filesystem::path& path);

/// Whether a clone is one of this disk. Where a disk has no number of its own, its name counts.
[[nodiscard]] bool is_clone_of(const Manifest& clone, const DiskFacts& source);

/// Refuses (status 4) a target that is smaller than the source, has another sector size, or shares
/// bytes with it. A pure function.
void check_fits(const DiskFacts& source, const DiskFacts& target);

} // namespace coldspare::clone
