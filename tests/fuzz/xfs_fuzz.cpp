// Any changes to a small XFS, three bytes each (where, where, what): what the reader believes lies
// in order, inside of the file system, and not on what it read.
#include "base/error.hpp"
#include "clone/used_space.hpp"
#include "tests/support/tiny_xfs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void take(const std::string& image, std::uint64_t size) {
    const ReadBytes read = [&](std::uint64_t offset, std::span<std::byte> into) {
        if (!inside({offset, into.size()}, size)) {
            throw Error("it ends early");
        }
        require(into.size() <= std::size_t{1} << 20);
        std::ranges::fill(into, std::byte{0});
        if (offset < image.size()) {
            const std::size_t length = std::min(into.size(), image.size() - offset);
            std::ranges::copy(std::as_bytes(std::span(image).subspan(offset, length)),
                              into.begin());
        }
    };
    try {
        std::uint64_t last = 0;
        for (const Range range : free_space_of_xfs(read, size, {})) {
            require(range.length > 0 && inside(range, size));
            require(range.offset > last && range.offset >= std::uint64_t{4} * 512);
            last = range.end();
        }
    } catch (const Error& error) {
        require(!error.message().empty());
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string image = images::TinyXfs().bytes;
    for (std::size_t i = 0; i + 3 <= size; i += 3) {
        const std::size_t at = (std::size_t{data[i]} << 8 | data[i + 1]) % image.size();
        image[at] = static_cast<char>(data[i + 2]);
    }
    take(image, images::TinyXfs::size);
    take(image, std::uint64_t{1} << 45); // a place that is larger than it
    take(image, 6 * 512);
    return 0;
}
