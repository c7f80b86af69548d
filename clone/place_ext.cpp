// From a block of ext2, ext3 or ext4 to a path, as debugfs's icheck and ncheck find it:
//
//   block bitmap     is it free?
//   all inodes       which one has the block, in an extent, an index or an attribute block?
//   all directories  from the root down: what is that inode called?
//
// What is in use and belongs to no inode is metadata. Checksums are not checked: the copy of a
// failing disk has zeros where it could not be read, and what is left of it is asked.
#include "clone/place_ext.hpp"

#include "base/handle.hpp"
#include "base/text.hpp"

#include <et/com_err.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

namespace coldspare::clone {

namespace {

using FileSystem = Handle<struct_ext2_filsys, ext2fs_free>;
using InodeScan = Handle<ext2_struct_inode_scan, ext2fs_close_inode_scan>;
using Extents = Handle<ext2_extent_handle, ext2fs_extent_free>;

/// Names for one range are for people.
constexpr std::size_t most_names = 8;

enum class BlockState { free, used, unknown };

/// One of the ranges that are asked for, in blocks.
struct Question {
    blk64_t first = 0;
    blk64_t last = 0;        ///< the last one that belongs to it
    std::uint64_t used = 0;  ///< blocks in use, as the bitmap says
    std::uint64_t owned = 0; ///< blocks that inodes have
    bool has_free = false;
    bool has_unknown = false; ///< counted as used, but may be free
    bool leaves_file_system = false;
    std::set<ext2_ino_t> inodes;
};

/// Its callbacks are noexcept: only memory can fail them, and no exception may pass through C.
class ExtSearch {
public:
    ExtSearch(ext2_filsys fs, const std::vector<Range>& ranges, const OutOfTime& out_of_time)
        : fs_(fs), out_of_time_(out_of_time) {
        for (const Range& range : ranges) {
            questions_.push_back(
                {range.offset / fs->blocksize,
                 (range.offset + std::max<std::uint64_t>(range.length, 1) - 1) / fs->blocksize});
        }
    }

    [[nodiscard]] std::vector<std::vector<std::string>> run() {
        ask_bitmap();
        bool all_seen = true;
        if (std::ranges::any_of(questions_, [](const Question& each) { return each.used > 0; })) {
            all_seen = scan_inodes();
            walk_directories();
        }
        std::vector<std::vector<std::string>> answers;
        for (const Question& question : questions_) {
            answers.push_back(answer(question, all_seen));
        }
        return answers;
    }

private:
    // --- the bitmap

    void ask_bitmap() {
        const blk64_t count = ext2fs_blocks_count(fs_->super);
        for (Question& question : questions_) {
            question.leaves_file_system = question.last >= count;
            for (blk64_t block = question.first; block <= question.last && block < count; ++block) {
                if (block % 4096 == 0 && out_of_time_()) {
                    question.used += question.last - block + 1;
                    question.has_unknown = true;
                    break;
                }
                const BlockState state = state_of(block);
                question.has_free = question.has_free || state == BlockState::free;
                question.has_unknown = question.has_unknown || state == BlockState::unknown;
                question.used += state == BlockState::free ? 0 : 1;
            }
        }
    }

    [[nodiscard]] BlockState state_of(blk64_t block) {
        if (block < fs_->super->s_first_data_block) {
            return BlockState::used; // the boot block
        }
        const dgrp_t group = ext2fs_group_of_blk2(fs_, block);
        if (is_group_metadata(group, block)) {
            return BlockState::used;
        }
        if (ext2fs_bg_flags_test(fs_, group, EXT2_BG_BLOCK_UNINIT) != 0) {
            return BlockState::free;
        }
        if (!load_bitmap(group)) {
            return BlockState::unknown;
        }
        const blk64_t bit =
            (block - ext2fs_group_first_block2(fs_, group)) >> fs_->cluster_ratio_bits;
        const bool set =
            ((unsigned{static_cast<unsigned char>(bitmap_[bit / 8])} >> (bit % 8)) & 1U) != 0;
        return set ? BlockState::used : BlockState::free;
    }

    /// All that is in use in a group of which the bitmap was never written.
    [[nodiscard]] bool is_group_metadata(dgrp_t group, blk64_t block) const {
        blk64_t super = 0;
        blk64_t old_descriptors = 0;
        blk64_t new_descriptors = 0;
        ext2fs_super_and_bgd_loc2(fs_, group, &super, &old_descriptors, &new_descriptors, nullptr);
        const auto within = [block](blk64_t first, blk64_t count) {
            return first != 0 && block >= first && block - first < count;
        };
        return within(super, 1) || within(new_descriptors, 1) ||
               within(old_descriptors, fs_->desc_blocks + fs_->super->s_reserved_gdt_blocks) ||
               within(ext2fs_block_bitmap_loc(fs_, group), 1) ||
               within(ext2fs_inode_bitmap_loc(fs_, group), 1) ||
               within(ext2fs_inode_table_loc(fs_, group), fs_->inode_blocks_per_group);
    }

    /// False if there is none to believe: a bitmap that could not be read is zeros, "all free".
    [[nodiscard]] bool load_bitmap(dgrp_t group) {
        if (loaded_group_ != group || bitmap_.empty()) {
            loaded_group_ = group;
            bitmap_.resize(fs_->blocksize);
            const blk64_t where = ext2fs_block_bitmap_loc(fs_, group);
            bitmap_is_good_ = asked_for(where, 1).empty() &&
                              io_channel_read_blk64(fs_->io, where, 1, bitmap_.data()) == 0;
        }
        return bitmap_is_good_;
    }

    // --- inodes

    /// The questions that touch `count` blocks from `first`.
    [[nodiscard]] std::span<Question> asked_for(blk64_t first, blk64_t count) {
        const auto begin = std::ranges::lower_bound(questions_, first, {}, &Question::last);
        auto end = begin;
        while (end != questions_.end() && count > 0 && end->first <= first + (count - 1)) {
            ++end;
        }
        return {begin, end};
    }

    void note_owner(ext2_ino_t inode, blk64_t first, blk64_t count) {
        for (Question& question : asked_for(first, count)) {
            question.owned +=
                std::min(first + (count - 1), question.last) - std::max(first, question.first) + 1;
            if (question.inodes.size() <= most_names) {
                question.inodes.insert(inode);
            }
        }
    }

    /// False if not all of them could be looked at.
    [[nodiscard]] bool scan_inodes() {
        ext2_inode_scan opened = nullptr;
        if (ext2fs_open_inode_scan(fs_, 0, &opened) != 0) {
            return false;
        }
        const InodeScan scan(opened);
        ext2fs_inode_scan_flags(opened, EXT2_SF_SKIP_MISSING_ITABLE, 0);
        bool all = true;
        for (;;) {
            ext2_ino_t number = 0;
            ext2_inode inode{};
            const errcode_t failure = ext2fs_get_next_inode(opened, &number, &inode);
            if (out_of_time_()) {
                return false;
            }
            if (failure == EXT2_ET_BAD_BLOCK_IN_INODE_TABLE) {
                all = false;
                continue;
            }
            if (failure != 0 || number == 0) {
                return failure == 0 && all;
            }
            if (inode.i_links_count != 0) {
                note_blocks(number, inode);
            }
        }
    }

    void note_blocks(ext2_ino_t number, ext2_inode& inode) {
        if (const blk64_t attributes = ext2fs_file_acl_block(fs_, &inode)) {
            note_owner(number, attributes, 1);
        }
        if (ext2fs_inode_has_valid_blocks2(fs_, &inode) == 0) {
            return;
        }
        if ((inode.i_flags & EXT4_EXTENTS_FL) != 0) {
            note_extents(number, inode);
        } else {
            note_block_map(number);
        }
    }

    void note_extents(ext2_ino_t number, ext2_inode& inode) {
        ext2_extent_handle_t opened = nullptr;
        if (ext2fs_extent_open2(fs_, number, &inode, &opened) != 0) {
            return;
        }
        const Extents extents(opened);
        ext2fs_extent extent{};
        for (int step = EXT2_EXTENT_ROOT; ext2fs_extent_get(opened, step, &extent) == 0;
             step = EXT2_EXTENT_NEXT) {
            if ((extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) != 0) {
                note_owner(number, extent.e_pblk, extent.e_len);
            } else if ((extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT) == 0) {
                note_owner(number, extent.e_pblk, 1);
            }
            if (out_of_time_()) {
                return;
            }
        }
    }

    /// The indirect blocks of ext2 and ext3.
    struct BlockMapVisit {
        ExtSearch* search;
        ext2_ino_t inode;
        blk64_t first = 0;
        blk64_t count = 0;
        unsigned until_look = 0;
    };

    void note_block_map(ext2_ino_t number) {
        BlockMapVisit visit{this, number};
        ext2fs_block_iterate3(
            fs_, number, BLOCK_FLAG_READ_ONLY, nullptr,
            [](ext2_filsys, blk64_t* block, e2_blkcnt_t, blk64_t, int, void* data) noexcept -> int {
                auto& seen = *static_cast<BlockMapVisit*>(data);
                if (seen.count > 0 && *block == seen.first + seen.count) {
                    ++seen.count;
                    return 0;
                }
                seen.search->note_owner(seen.inode, seen.first, seen.count);
                seen.first = *block;
                seen.count = 1;
                return ++seen.until_look % 64 == 0 && seen.search->out_of_time_() ? BLOCK_ABORT : 0;
            },
            &visit);
        note_owner(number, visit.first, visit.count);
    }

    // --- directories

    struct Directory {
        std::size_t parent = 0;
        ext2_ino_t inode = 0;
        std::string name;
    };

    struct DirectoryVisit {
        ExtSearch* search;
        std::size_t directory;
    };

    void walk_directories() {
        for (const Question& question : questions_) {
            nameless_.insert(question.inodes.begin(), question.inodes.end());
        }
        if (nameless_.erase(EXT2_ROOT_INO) > 0) {
            paths_[EXT2_ROOT_INO] = "/";
        }
        std::erase_if(nameless_, [this](ext2_ino_t inode) { return is_reserved(inode); });
        directories_ = {{0, EXT2_ROOT_INO, {}}};
        seen_ = {EXT2_ROOT_INO};
        for (std::size_t i = 0; i < directories_.size() && !nameless_.empty(); ++i) {
            if (out_of_time_()) {
                return;
            }
            DirectoryVisit visit{this, i};
            ext2fs_dir_iterate2(
                fs_, directories_[i].inode, 0, nullptr,
                [](ext2_ino_t, int kind, ext2_dir_entry* entry, int, int, char*,
                   void* data) noexcept {
                    if (kind == DIRENT_OTHER_FILE) {
                        const auto& here = *static_cast<DirectoryVisit*>(data);
                        here.search->note_name(here.directory, *entry);
                    }
                    return 0;
                },
                &visit);
        }
    }

    void note_name(std::size_t directory, const ext2_dir_entry& entry) {
        const std::string_view name(entry.name,
                                    static_cast<std::size_t>(ext2fs_dirent_name_len(&entry)));
        if (nameless_.erase(entry.inode) > 0) {
            paths_[entry.inode] = path_of(directory) + "/" + printable(name);
        }
        const int type = ext2fs_dirent_file_type(&entry);
        // Old file systems do not say; a file that is walked as a directory has no entries.
        const bool may_be_directory = type == EXT2_FT_DIR || type == EXT2_FT_UNKNOWN;
        if (may_be_directory && seen_.insert(entry.inode).second) {
            directories_.push_back({directory, entry.inode, printable(name)});
        }
    }

    [[nodiscard]] std::string path_of(std::size_t directory) const {
        std::string path;
        for (; directory != 0; directory = directories_[directory].parent) {
            path.insert(0, "/" + directories_[directory].name);
        }
        return path;
    }

    // --- answers

    [[nodiscard]] bool is_reserved(ext2_ino_t inode) const {
        return inode < EXT2_FIRST_INODE(fs_->super) && inode != EXT2_ROOT_INO;
    }

    [[nodiscard]] std::vector<std::string> answer(const Question& question, bool all_seen) const {
        std::vector<std::string> names;
        const auto add = [&names](std::string name) {
            if (std::ranges::find(names, name) == names.end()) {
                names.push_back(std::move(name));
            }
        };
        std::size_t rest = most_names;
        for (const ext2_ino_t inode : question.inodes) {
            if (rest-- == 0) {
                add("others");
                break;
            }
            add(name_of(inode));
        }
        // A cluster of several blocks is in use as a whole, whatever its file has of it.
        const bool can_tell = all_seen && !question.has_unknown &&
                              (fs_->cluster_ratio_bits == 0 || question.owned == 0);
        if (can_tell && question.used > question.owned) {
            add("metadata");
        }
        if (question.has_free) {
            add("free space");
        }
        if (question.leaves_file_system) {
            add("after the end of the file system");
        }
        return names;
    }

    [[nodiscard]] std::string name_of(ext2_ino_t inode) const {
        if (inode == fs_->super->s_journal_inum) {
            return "the journal";
        }
        if (is_reserved(inode)) {
            return "metadata";
        }
        const auto path = paths_.find(inode);
        return path != paths_.end() ? path->second : fmt::format("inode {}", inode);
    }

    ext2_filsys fs_;
    const OutOfTime& out_of_time_;
    std::vector<Question> questions_;
    std::vector<char> bitmap_;
    dgrp_t loaded_group_ = 0;
    bool bitmap_is_good_ = false;
    std::vector<Directory> directories_; ///< in the order in which they are walked
    std::set<ext2_ino_t> seen_;
    std::set<ext2_ino_t> nameless_;
    std::map<ext2_ino_t, std::string> paths_;
};

} // namespace

std::vector<std::vector<std::string>> ext_holders(const std::filesystem::path& path,
                                                  std::uint64_t offset,
                                                  const std::vector<Range>& ranges,
                                                  const OutOfTime& out_of_time) {
    const std::string options = fmt::format("offset={}", offset);
    constexpr int flags =
        EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_IGNORE_CSUM_ERRORS;
    ext2_filsys opened = nullptr;
    if (out_of_time() ||
        ext2fs_open2(path.c_str(), options.c_str(), flags, 0, 0, unix_io_manager, &opened) != 0) {
        return std::vector<std::vector<std::string>>(ranges.size());
    }
    const FileSystem fs(opened);
    return ExtSearch(opened, ranges, out_of_time).run();
}

} // namespace coldspare::clone
