// Of XFS this knows as much as it needs: superblock, log, and in each allocation group the tree of
// free extents by block number.
#include "clone/used_space.hpp"

#include "base/error.hpp"
#include "clone/xfs_super.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace coldspare::clone {

using namespace xfs;

namespace {

constexpr std::uint32_t no_block = 0xffffffff;

/// The log, in basic blocks. Each begins with the number of the cycle in which it was written, or
/// with the magic of a record and then that number. A log at rest is cycle N up to its head and
/// cycle N - 1 from there on, and the record that ends at the head is the one that unmounting
/// writes (xlog_find_tail in fs/xfs/xfs_log_recover.c). The whole of it is read: a search in
/// halves would believe what it did not see.
class Log {
public:
    Log(const ReadBytes& read, const Super& super)
        : read_(read), super_(super), offset_(super.offset_of(super.log_group, super.log_block)),
          blocks_(super.log_blocks * super.block_size / basic_block) {}

    void require_clean(const std::stop_token& stop) {
        find_head(stop);
        if (!last_record_) {
            throw Error("its log has no record");
        }
        const Bytes header = block(*last_record_);
        const std::uint32_t version = be32(header, 8);
        if (version != (super_.log_v2 ? 2 : 1) || uuid_at(header, 304) != super_.uuid ||
            be64(header, 16) != (std::uint64_t{be32(header, 4)} << 32 | *last_record_)) {
            throw Error("its log is not in order");
        }
        constexpr std::uint32_t bytes_a_header = 32768;
        const std::uint32_t size = be32(header, 320);
        const std::uint64_t headers =
            version == 2 ? std::max<std::uint64_t>(
                               (std::uint64_t{size} + bytes_a_header - 1) / bytes_a_header, 1)
                         : 1;
        const std::uint64_t length =
            (std::uint64_t{be32(header, 12)} + basic_block - 1) / basic_block;
        const bool ends_at_head = headers + length < blocks_ &&
                                  (*last_record_ + headers + length) % blocks_ == head_ % blocks_;
        if (!ends_at_head || be32(header, 40) != 1) { // one operation
            throw Error("its log is dirty");
        }
        // Of the operation: who wrote it (XFS_LOG), and that it unmounts. Its first word, the
        // transaction, gave way to the cycle.
        const Bytes operation = block((*last_record_ + headers) % blocks_);
        constexpr std::uint8_t by_the_log = 0xaa;
        constexpr std::uint8_t unmounts = 0x20;
        if (byte_at(operation, 8) != by_the_log || byte_at(operation, 9) != unmounts) {
            throw Error("its log is dirty");
        }
    }

private:
    [[nodiscard]] Bytes block(std::uint64_t number) const {
        Bytes bytes(basic_block);
        read_(offset_ + number * basic_block, bytes);
        return bytes;
    }

    /// One pass over the log for the head and for the last record before it, or else the last one.
    void find_head(const std::stop_token& stop) {
        constexpr std::uint64_t most = (1 << 20) / basic_block;
        Bytes chunk;
        std::optional<std::uint32_t> previous;
        std::optional<std::uint64_t> before_head;
        head_ = blocks_;
        for (std::uint64_t at = 0; at < blocks_; at += most) {
            if (stop.stop_requested()) {
                throw interrupted();
            }
            chunk.resize(std::min(most, blocks_ - at) * basic_block);
            read_(offset_ + at * basic_block, chunk);
            for (std::uint64_t i = 0; i < chunk.size() / basic_block; ++i) {
                const auto bytes = std::span(chunk).subspan(i * basic_block, basic_block);
                const bool record = be32(bytes, 0) == magic;
                const std::uint32_t cycle = be32(bytes, record ? 4 : 0);
                if (cycle == magic || (!previous && cycle == 0)) {
                    throw Error("its log is not in order");
                }
                if (previous && cycle != *previous) {
                    if (head_ != blocks_ || cycle + 1 != *previous) {
                        throw Error("its log is not in order");
                    }
                    head_ = at + i;
                    before_head = last_record_;
                }
                previous = cycle;
                if (record) {
                    last_record_ = at + i;
                }
            }
        }
        if (before_head) {
            last_record_ = before_head;
        }
    }

    static constexpr std::uint32_t magic = 0xfeedbabe;

    const ReadBytes& read_;
    const Super& super_;
    std::uint64_t offset_;
    std::uint64_t blocks_;
    std::uint64_t head_ = 0;
    std::optional<std::uint64_t> last_record_;
};

/// One allocation group: its header (AGF), and a walk through its tree of free extents from left to
/// right. Each record must lie after the last, so the walk ends.
class Group {
public:
    Group(const ReadBytes& read, const Super& super, std::uint32_t number)
        : read_(read), super_(super), number_(number), blocks_(super.blocks_of(number)) {}

    /// Appends the free extents in bytes; returns their number of blocks.
    std::uint64_t append_free(std::vector<Range>& ranges, const std::stop_token& stop) {
        read_header();
        walk(root_, levels_ - 1, stop);
        if (sum_ != free_blocks_ || longest_seen_ != longest_) {
            throw doubt(fmt::format("its free extents have {} blocks, and its header says {}", sum_,
                                    free_blocks_));
        }
        for (const auto& level : last_of_level_) {
            if (level && level->right != no_block) {
                throw doubt("its tree of free space ends early");
            }
        }
        const std::uint64_t headers =
            (4 * super_.sector + super_.block_size - 1) / super_.block_size;
        require_used(0, headers);
        for (const std::uint32_t block : nodes_) {
            require_used(block, 1);
        }
        if (number_ == super_.log_group) {
            require_used(super_.log_block, super_.log_blocks);
        }
        for (const Extent& extent : extents_) {
            append_joined(ranges, {super_.offset_of(number_, extent.start),
                                   extent.length * super_.block_size});
        }
        return sum_;
    }

private:
    struct Extent {
        std::uint64_t start = 0; ///< blocks
        std::uint64_t length = 0;
    };
    struct Node {
        std::uint32_t block = 0;
        std::uint32_t right = no_block;
    };
    static constexpr std::uint32_t most_levels = 9; // XFS_BTREE_MAXLEVELS

    [[nodiscard]] Error doubt(std::string_view what) const {
        return Error(fmt::format("in allocation group {}, {}", number_, what));
    }

    void read_header() {
        Bytes bytes(super_.sector);
        read_(super_.offset_of(number_, 0) + super_.sector, bytes);
        if (super_.v5 && (!crc_fits(bytes, 216) || uuid_at(bytes, 64) != super_.meta_uuid)) {
            throw doubt("the checksum of its header is wrong");
        }
        root_ = be32(bytes, 16);
        levels_ = be32(bytes, 28);
        free_blocks_ = be32(bytes, 52);
        longest_ = be32(bytes, 56);
        if (be32(bytes, 0) != 0x58414746 || be32(bytes, 4) != 1 || be32(bytes, 8) != number_ ||
            be32(bytes, 12) != blocks_ || levels_ == 0 || levels_ > most_levels ||
            free_blocks_ > blocks_) {
            throw doubt("its header makes no sense");
        }
    }

    /// Reads the node at `block`; checks what it says of itself and of its left neighbour.
    Bytes read_node(std::uint32_t block, std::uint32_t level) {
        if (block == 0 || block >= blocks_ || nodes_.size() >= blocks_) {
            throw doubt("its tree of free space leaves the group");
        }
        nodes_.push_back(block);
        Bytes bytes(super_.block_size);
        const std::uint64_t offset = super_.offset_of(number_, block);
        read_(offset, bytes);
        if (super_.v5 && (!crc_fits(bytes, 52) || be64(bytes, 16) != offset / basic_block ||
                          uuid_at(bytes, 32) != super_.meta_uuid || be32(bytes, 48) != number_)) {
            throw doubt(fmt::format("block {} has a wrong checksum or owner", block));
        }
        std::optional<Node>& left = last_of_level_[level];
        if (be32(bytes, 0) != (super_.v5 ? 0x41423342U : 0x41425442U) || be16(bytes, 4) != level ||
            be32(bytes, 8) != (left ? left->block : no_block) || (left && left->right != block)) {
            throw doubt(fmt::format("block {} is no node of its tree of free space", block));
        }
        left = Node{block, be32(bytes, 12)};
        return bytes;
    }

    /// `level` counts from the leaves, which are 0. Returns the first block that the part names.
    std::uint32_t walk(std::uint32_t block, std::uint32_t level, const std::stop_token& stop) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        constexpr std::size_t record_size = 8;
        const Bytes bytes = read_node(block, level);
        const std::size_t header = super_.v5 ? 56 : 16;
        const std::size_t count = be16(bytes, 6);
        const std::size_t most =
            (bytes.size() - header) / (level == 0 ? record_size : record_size + 4);
        const bool empty_is_right = level == 0 && levels_ == 1;
        if (count > most || (count == 0 && !empty_is_right)) {
            throw doubt(fmt::format("block {} has {} records, and there is room for {}", block,
                                    count, most));
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = header + i * record_size;
            if (level == 0) {
                take(be32(bytes, at), be32(bytes, at + 4));
                continue;
            }
            const std::uint32_t child = be32(bytes, header + most * record_size + i * 4);
            if (walk(child, level - 1, stop) != be32(bytes, at)) {
                throw doubt(fmt::format("block {} names its children wrongly", block));
            }
        }
        return count == 0 ? 0 : be32(bytes, header);
    }

    void take(std::uint32_t start, std::uint32_t length) {
        const std::uint64_t least =
            extents_.empty() ? 1 : extents_.back().start + extents_.back().length + 1;
        if (length == 0 || start < least || std::uint64_t{start} + length > blocks_) {
            throw doubt("its free extents are not in order");
        }
        extents_.push_back({start, length});
        sum_ += length;
        longest_seen_ = std::max(longest_seen_, length);
    }

    /// That no free extent has one of these blocks.
    void require_used(std::uint64_t start, std::uint64_t length) const {
        const auto after =
            std::ranges::upper_bound(extents_, start + length - 1, {}, &Extent::start);
        if (after != extents_.begin() && (after - 1)->start + (after - 1)->length > start) {
            throw doubt("its free extents cover metadata");
        }
    }

    const ReadBytes& read_;
    const Super& super_;
    std::uint32_t number_;
    std::uint32_t blocks_;
    std::uint32_t root_ = 0;
    std::uint32_t levels_ = 0;
    std::uint32_t free_blocks_ = 0;
    std::uint32_t longest_ = 0;
    std::uint64_t sum_ = 0;
    std::uint32_t longest_seen_ = 0;
    std::vector<Extent> extents_;
    std::vector<std::uint32_t> nodes_;
    std::array<std::optional<Node>, most_levels> last_of_level_;
};

} // namespace

std::vector<Range> free_space_of_xfs(const ReadBytes& read, std::uint64_t size,
                                     const std::stop_token& stop) {
    const Super super = read_super(read, size);
    Log(read, super).require_clean(stop);
    std::vector<Range> ranges;
    std::uint64_t free = 0;
    for (std::uint32_t number = 0; number < super.groups; ++number) {
        free += Group(read, super, number).append_free(ranges, stop);
    }
    if (free > super.free_blocks) {
        throw Error(fmt::format("its groups have {} blocks free, and its superblock says {}", free,
                                super.free_blocks));
    }
    return ranges;
}

} // namespace coldspare::clone
