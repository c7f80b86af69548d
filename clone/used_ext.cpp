#include "clone/used_space.hpp"

#include "base/error.hpp"
#include "base/handle.hpp"

#include <ext2fs/ext2fs.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sys/stat.h>
#include <type_traits>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

using FileSystem = Handle<struct_ext2_filsys, ext2fs_free>;
using BlockMap = Handle<std::remove_pointer_t<ext2fs_block_bitmap>, ext2fs_free_block_bitmap>;

/// Features that leave the meaning of the block bitmaps as it is. A fixed list, and not what the
/// library supports: a later one may support what this file does not expect.
constexpr std::uint32_t known_compat =
    EXT2_FEATURE_COMPAT_DIR_PREALLOC | EXT2_FEATURE_COMPAT_IMAGIC_INODES |
    EXT3_FEATURE_COMPAT_HAS_JOURNAL | EXT2_FEATURE_COMPAT_EXT_ATTR |
    EXT2_FEATURE_COMPAT_RESIZE_INODE | EXT2_FEATURE_COMPAT_DIR_INDEX |
    EXT4_FEATURE_COMPAT_SPARSE_SUPER2 | EXT4_FEATURE_COMPAT_FAST_COMMIT |
    EXT4_FEATURE_COMPAT_STABLE_INODES | EXT4_FEATURE_COMPAT_ORPHAN_FILE;
constexpr std::uint32_t known_incompat =
    EXT2_FEATURE_INCOMPAT_FILETYPE | EXT2_FEATURE_INCOMPAT_META_BG | EXT3_FEATURE_INCOMPAT_EXTENTS |
    EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_MMP | EXT4_FEATURE_INCOMPAT_FLEX_BG |
    EXT4_FEATURE_INCOMPAT_EA_INODE | EXT4_FEATURE_INCOMPAT_CSUM_SEED |
    EXT4_FEATURE_INCOMPAT_LARGEDIR | EXT4_FEATURE_INCOMPAT_INLINE_DATA |
    EXT4_FEATURE_INCOMPAT_ENCRYPT | EXT4_FEATURE_INCOMPAT_CASEFOLD;
constexpr std::uint32_t known_ro_compat =
    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
    EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |
    EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
    EXT4_FEATURE_RO_COMPAT_QUOTA | EXT4_FEATURE_RO_COMPAT_BIGALLOC |
    EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | EXT4_FEATURE_RO_COMPAT_READONLY |
    EXT4_FEATURE_RO_COMPAT_PROJECT | EXT4_FEATURE_RO_COMPAT_VERITY;

/// Before the library asks for memory: 64 bytes each. 16 TiB have 131072 with blocks of 4096.
constexpr std::uint64_t most_groups = 4 << 20;

/// A bitmap of every other block would need 64 bytes for each of its own.
constexpr std::size_t most_pieces = 16 << 20;

void check(errcode_t code) {
    if (code != 0) {
        initialize_ext2_error_table();
        throw Error(fmt::format("libext2fs says: {}", error_message(code)));
    }
}

FileSystem open(const fs::path& path, std::uint64_t offset, int flags) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode)) {
        flags |= EXT2_FLAG_DIRECT_IO; // the page cache of a disk does not see writes to a partition
    }
    ext2_filsys opened = nullptr;
    check(ext2fs_open2(path.c_str(), fmt::format("offset={}", offset).c_str(),
                       flags | EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP, 0, 0, unix_io_manager,
                       &opened));
    return FileSystem(opened);
}

void check_superblock(ext2_super_block& super, std::uint64_t size) {
    if (ext2fs_has_feature_journal_needs_recovery(&super) != 0) {
        throw Error("its journal needs recovery");
    }
    const std::array<std::uint32_t, 3> unknown{super.s_feature_compat & ~known_compat,
                                               super.s_feature_incompat & ~known_incompat,
                                               super.s_feature_ro_compat & ~known_ro_compat};
    if (std::ranges::any_of(unknown, [](std::uint32_t bits) { return bits != 0; })) {
        throw Error(fmt::format("it has features that are not known here ({:#x}, {:#x}, {:#x})",
                                unknown[0], unknown[1], unknown[2]));
    }
    if ((super.s_state & EXT2_ERROR_FS) != 0 || super.s_error_count != 0) {
        throw Error("the kernel has found errors in it, and fsck has not run since");
    }
    if (super.s_state != EXT2_VALID_FS || super.s_last_orphan != 0) {
        throw Error("it was not cleanly unmounted");
    }
    if (ext2fs_has_feature_journal(&super) != 0 &&
        (super.s_journal_inum == 0 || super.s_journal_dev != 0)) {
        throw Error("its journal is on another device");
    }
    if (super.s_log_block_size > EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE) {
        throw Error("its block size is not known");
    }
    const std::uint64_t block_size = EXT2_BLOCK_SIZE(&super);
    const std::uint64_t blocks = ext2fs_blocks_count(&super);
    if (blocks > size / block_size) {
        throw Error(fmt::format("it has {} blocks of {} bytes, and there is room for {}", blocks,
                                block_size, size / block_size));
    }
    const std::uint64_t bits = super.s_log_cluster_size - super.s_log_block_size;
    if (super.s_log_cluster_size < super.s_log_block_size || bits > 16 ||
        super.s_clusters_per_group == 0 || super.s_clusters_per_group % 8 != 0 ||
        super.s_clusters_per_group > 8 * block_size ||
        super.s_blocks_per_group != std::uint64_t{super.s_clusters_per_group} << bits) {
        throw Error("its block groups have a size that cannot be");
    }
    if (blocks / super.s_blocks_per_group > most_groups) {
        throw Error("it has too many block groups");
    }
}

/// Whether the journal is empty: recovery can be due without the flag (e2fsck asks as well).
void check_journal(ext2_filsys file_system) {
    constexpr std::uint32_t magic = 0xC03B3998;
    const ext2_super_block& super = *file_system->super;
    if (ext2fs_has_feature_journal(file_system->super) == 0) {
        return;
    }
    blk64_t block = 0;
    check(ext2fs_bmap2(file_system, super.s_journal_inum, nullptr, nullptr, 0, 0, nullptr, &block));
    std::vector<unsigned char> bytes(file_system->blocksize);
    check(io_channel_read_blk64(file_system->io, block, 1, bytes.data()));
    const auto field = [&](std::size_t at) { // big-endian: journal_superblock_t of jbd2
        return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
               std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
    };
    if (block == 0 || field(0) != magic) {
        throw Error("its journal has no superblock");
    }
    if (field(0x1c) != 0) {
        throw Error("its journal needs recovery");
    }
}

/// Multiple-mount protection: another host, or fsck, may be at it right now.
void check_mmp(ext2_filsys file_system) {
    if (ext2fs_has_feature_mmp(file_system->super) == 0) {
        return;
    }
    std::vector<unsigned char> bytes(std::max<std::size_t>(file_system->blocksize, 4096));
    check(io_channel_read_blk64(file_system->io, file_system->super->s_mmp_block, 1, bytes.data()));
    auto* mmp = reinterpret_cast<mmp_struct*>(bytes.data());
    if (ext2fs_mmp_csum_verify(file_system, mmp) == 0 ||
        ext2fs_le32_to_cpu(mmp->mmp_magic) != EXT4_MMP_MAGIC ||
        ext2fs_le32_to_cpu(mmp->mmp_seq) != EXT4_MMP_SEQ_CLEAN) {
        throw Error("its multiple-mount protection says that it is in use");
    }
}

/// The blocks that superblocks, descriptors, bitmaps and inode tables of all groups lie on.
BlockMap map_of_metadata(ext2_filsys file_system) {
    ext2fs_block_bitmap allocated = nullptr;
    check(ext2fs_allocate_block_bitmap(file_system, "metadata", &allocated));
    BlockMap map(allocated);
    for (dgrp_t group = 0; group < file_system->group_desc_count; ++group) {
        ext2fs_reserve_super_and_bgd(file_system, group, map.get());
        ext2fs_mark_block_bitmap2(map.get(), ext2fs_block_bitmap_loc(file_system, group));
        ext2fs_mark_block_bitmap2(map.get(), ext2fs_inode_bitmap_loc(file_system, group));
        ext2fs_mark_block_bitmap_range2(map.get(), ext2fs_inode_table_loc(file_system, group),
                                        file_system->inode_blocks_per_group);
    }
    return map;
}

/// One group's bitmap, bit by bit: a set one is a cluster in use.
class Group {
public:
    Group(ext2_filsys file_system, dgrp_t number)
        : file_system_(file_system), number_(number),
          bits_(static_cast<unsigned>(file_system->cluster_ratio_bits)),
          first_(ext2fs_group_first_block2(file_system, number)),
          blocks_(static_cast<std::uint64_t>(ext2fs_group_blocks_count(file_system, number))),
          bytes_(file_system->blocksize) {}

    void read(ext2fs_block_bitmap metadata) {
        if (ext2fs_group_desc_csum_verify(file_system_, number_) == 0) {
            throw Error(fmt::format("the checksum of its group {} is wrong", number_));
        }
        const bool never_used =
            ext2fs_has_group_desc_csum(file_system_) != 0 &&
            ext2fs_bg_flags_test(file_system_, number_, EXT2_BG_BLOCK_UNINIT) != 0;
        if (!never_used) {
            check(io_channel_read_blk64(file_system_->io,
                                        ext2fs_block_bitmap_loc(file_system_, number_), 1,
                                        bytes_.data()));
            auto* bits = reinterpret_cast<char*>(bytes_.data());
            const auto size = static_cast<int>(file_system_->super->s_clusters_per_group / 8);
            if (ext2fs_block_bitmap_csum_verify(file_system_, number_, bits, size) == 0) {
                throw Error(fmt::format("the checksum of its block bitmap {} is wrong", number_));
            }
        }
        for (std::uint64_t block = first_; block < first_ + blocks_;) {
            blk64_t start = 0;
            blk64_t end = 0;
            if (ext2fs_find_first_set_block_bitmap2(metadata, block, first_ + blocks_ - 1,
                                                    &start) != 0) {
                break;
            }
            if (ext2fs_find_first_zero_block_bitmap2(metadata, start, first_ + blocks_ - 1, &end) !=
                0) {
                end = first_ + blocks_;
            }
            take_metadata(std::max<std::uint64_t>(start, first_), end, never_used);
            block = std::max<std::uint64_t>(end, block + 1);
        }
    }

    /// Appends what is free, as bytes of the disk; returns the number of clusters.
    std::uint64_t append_free(std::vector<Range>& ranges, std::uint64_t offset) const {
        const std::uint64_t ratio = 1ULL << bits_;
        const std::uint64_t clusters = (blocks_ + ratio - 1) / ratio;
        std::uint64_t count = 0;
        for (std::uint64_t start = next(0, clusters, false); start < clusters;) {
            const std::uint64_t end = next(start, clusters, true);
            count += end - start;
            const std::uint64_t length = std::min(end * ratio, blocks_) - start * ratio;
            append_joined(ranges, {offset + (first_ + start * ratio) * file_system_->blocksize,
                                   length * file_system_->blocksize});
            start = next(end, clusters, false);
        }
        if (count != ext2fs_bg_free_blocks_count(file_system_, number_)) {
            throw Error(fmt::format("its block bitmap {} has {} free, and its descriptor says {}",
                                    number_, count,
                                    ext2fs_bg_free_blocks_count(file_system_, number_)));
        }
        return count;
    }

private:
    [[nodiscard]] bool used(std::uint64_t cluster) const {
        return ((unsigned{bytes_[cluster / 8]} >> (cluster % 8)) & 1U) != 0;
    }

    /// The first cluster from `at` on that is in use, or that is not; `end` if there is none.
    [[nodiscard]] std::uint64_t next(std::uint64_t at, std::uint64_t end, bool in_use) const {
        const unsigned char skipped = in_use ? 0 : 0xff;
        while (at < end && used(at) != in_use) {
            const bool whole_byte = at % 8 == 0 && bytes_[at / 8] == skipped;
            at += whole_byte ? 8U : 1U;
        }
        return std::min(at, end);
    }

    void take_metadata(std::uint64_t start, std::uint64_t end, bool never_used) {
        for (std::uint64_t at = (start - first_) >> bits_; at <= (end - 1 - first_) >> bits_;
             ++at) {
            if (never_used) {
                bytes_[at / 8] = static_cast<unsigned char>(bytes_[at / 8] | 1U << (at % 8));
            } else if (!used(at)) {
                throw Error(fmt::format("its block bitmap {} calls metadata free", number_));
            }
        }
    }

    ext2_filsys file_system_;
    dgrp_t number_;
    unsigned bits_; ///< a cluster has 1 << bits_ blocks
    std::uint64_t first_;
    std::uint64_t blocks_;
    std::vector<unsigned char> bytes_;
};

} // namespace

std::vector<Range> free_space_of_ext(const fs::path& path, Range where,
                                     const std::stop_token& stop) {
    check_superblock(*open(path, where.offset, EXT2_FLAG_SUPER_ONLY)->super, where.length);
    const FileSystem opened = open(path, where.offset, 0);
    const ext2_filsys file_system = opened.get();
    check_superblock(*file_system->super, where.length);     // what was read this time
    file_system->default_bitmap_type = EXT2FS_BMAP64_RBTREE; // of metadata: few pieces a group
    check(ext2fs_check_desc(file_system));
    check_mmp(file_system);
    check_journal(file_system);
    const BlockMap metadata = map_of_metadata(file_system);
    std::vector<Range> ranges;
    std::uint64_t free = 0;
    for (dgrp_t number = 0; number < file_system->group_desc_count; ++number) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        Group group(file_system, number);
        group.read(metadata.get());
        free += group.append_free(ranges, where.offset);
        if (ranges.size() > most_pieces) {
            throw Error("its free space is in too many pieces");
        }
    }
    free <<= static_cast<unsigned>(file_system->cluster_ratio_bits);
    if (free != ext2fs_free_blocks_count(file_system->super)) {
        throw Error(fmt::format("its bitmaps have {} blocks free, and its superblock says {}", free,
                                ext2fs_free_blocks_count(file_system->super)));
    }
    return ranges;
}

} // namespace coldspare::clone
