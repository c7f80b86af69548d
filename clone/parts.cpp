#include "clone/parts.hpp"

#include "base/error.hpp"

#include "clone/wire.hpp"

#include <algorithm>
#include <cstring>

namespace coldspare::clone {

void hash_parts(std::span<const std::byte> block, std::vector<Leaf>& into) {
    into.clear();
    for (std::size_t at = 0; at < block.size(); at += part_size) {
        into.push_back(
            hash_block(block.subspan(at, std::min<std::size_t>(part_size, block.size() - at))));
    }
}

Leaf digest_of(std::span<const Leaf> parts) {
    return hash_block(std::as_bytes(parts));
}

std::uint32_t PartsHead::content_length(std::uint32_t block_length) const {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < changed.size(); ++i) {
        length += changed[i] ? part_range(i, block_length).length : 0;
    }
    return static_cast<std::uint32_t>(length);
}

void encode_parts_head(const PartsHead& head, std::span<std::byte> into) {
    std::ranges::fill(into, std::byte{0});
    for (std::size_t i = 0; i < head.changed.size(); ++i) {
        if (head.changed[i]) {
            into[i / 8] |= std::byte{1} << (i % 8);
        }
    }
    std::ranges::copy(head.digest, into.end() - sizeof(Leaf));
}

PartsHead parse_parts_head(std::span<const std::byte> bytes, std::uint32_t block_length) {
    const auto parts = static_cast<std::size_t>(parts_in(block_length));
    const std::span<const std::byte> bits = bytes.first(bytes.size() - sizeof(Leaf));
    PartsHead head;
    std::ranges::copy(bytes.last(sizeof(Leaf)), head.digest.begin());
    for (std::size_t i = 0; i < 8 * bits.size(); ++i) {
        const bool changed = (bits[i / 8] >> (i % 8) & std::byte{1}) != std::byte{0};
        if (i < parts) {
            head.changed.push_back(changed);
        } else if (changed) {
            throw protocol_error("PARTS names a part behind the block");
        }
    }
    if (std::ranges::none_of(head.changed, [](bool changed) { return changed; })) {
        throw protocol_error("PARTS without a part");
    }
    return head;
}

} // namespace coldspare::clone
