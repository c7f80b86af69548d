#include "clone/used_space.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

namespace coldspare::clone {

namespace {

/// Signatures stand in the last ten bytes of the first page, of the page size of the machine that
/// made the area (union swap_header in linux/swap.h).
constexpr std::size_t signature_size = 10;
constexpr std::size_t smallest_page = 4096;
constexpr std::size_t largest_page = 65536;
constexpr std::size_t header_at = 1024; // version, last_page, nr_badpages: 32 bits each

/// Label, UUID and whatever a boot loader put there are kept.
constexpr std::uint64_t kept = 1 << 20;

/// Of the kernel, uswsusp, the compressed kinds, and TuxOnIce.
constexpr std::array<std::string_view, 5> hibernated{
    "S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001", "\xed\xc3\x02\xe9\x98\x56\xe5\x0c"};

std::uint32_t load(std::span<const std::byte> bytes, std::endian order) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t at = order == std::endian::big ? i : 3 - i;
        value = value << 8 | std::to_integer<std::uint32_t>(bytes[at]);
    }
    return value;
}

} // namespace

std::vector<Range> free_space_of_swap(const ReadBytes& read, std::uint64_t size) {
    std::optional<std::uint64_t> page;
    for (std::size_t candidate = smallest_page;
         candidate <= std::min<std::uint64_t>(largest_page, size); candidate *= 2) {
        std::array<char, signature_size> bytes{};
        read(candidate - signature_size, std::as_writable_bytes(std::span(bytes)));
        const std::string_view signature(bytes.data(), bytes.size());
        if (std::ranges::any_of(hibernated,
                                [&](std::string_view one) { return signature.starts_with(one); })) {
            throw Error("it holds the memory of a hibernated system");
        }
        if (signature == "SWAPSPACE2") {
            if (page) {
                throw Error("it has the signatures of two page sizes");
            }
            page = candidate;
        }
    }
    if (!page) {
        throw Error("it has no signature of a swap area of today");
    }
    std::array<std::byte, 8> header{};
    read(header_at, header);
    const std::span<const std::byte> bytes(header);
    const std::endian order =
        load(bytes, std::endian::little) == 1 ? std::endian::little : std::endian::big;
    if (load(bytes, order) != 1) {
        throw Error("its version is not known");
    }
    const std::uint64_t end = (std::uint64_t{load(bytes.subspan(4), order)} + 1) * *page;
    if (end > size) {
        throw Error(fmt::format("it has {} bytes, and there is room for {}", end, size));
    }
    if (end <= kept) {
        return {};
    }
    return {{kept, end - kept}};
}

void append_joined(std::vector<Range>& ranges, Range range) {
    if (!ranges.empty() && ranges.back().end() == range.offset) {
        ranges.back().length += range.length;
    } else {
        ranges.push_back(range);
    }
}

} // namespace coldspare::clone
