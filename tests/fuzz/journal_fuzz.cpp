// Any bytes as a journal, and text as one whose checksums fit: the first line is the head, and the
// numbers of each line behind it are the ranges of one record. What is believed lies on the disk,
// in whole blocks, sorted and apart; and what is written behind it is read again.
#include "base/error.hpp"
#include "base/text.hpp"
#include "clone/digest.hpp"
#include "clone/journal.hpp"
#include "clone/little_endian.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void take(std::string_view content) {
    try {
        const JournalContent journal = parse_journal(content);
        const Geometry& geometry = journal.head.geometry;
        require(geometry.size > 0 && geometry.size <= largest_disk_size);
        require(is_block_size(geometry.block_size));
        require(journal.good_bytes <= content.size());
        std::uint64_t end = 0;
        for (const Range& range : journal.durable) {
            require(range.length > 0 && inside(range, geometry.size));
            require(range.offset > end || end == 0);
            require(range.offset % geometry.block_size == 0);
            end = range.end();
            require(end % geometry.block_size == 0 || end == geometry.size);
        }
        const JournalContent again = parse_journal(content.substr(0, journal.good_bytes));
        require(again.durable == journal.durable && again.good_bytes == journal.good_bytes);
    } catch (const Error& error) {
        require(!error.message().empty());
    }
}

void seal(std::string& bytes, std::size_t from) {
    append_little_endian(bytes, hash_header(std::as_bytes(std::span(bytes)).subspan(from)));
}

std::string sealed(std::string_view text) {
    const std::size_t line = std::min(text.find('\n'), text.size());
    std::string bytes = "COLDSPARE JOURNAL 1\n";
    append_little_endian(bytes, static_cast<std::uint32_t>(line));
    bytes += text.substr(0, line);
    seal(bytes, 0);
    for (const std::string_view record : split_lines(text.substr(line))) {
        std::string numbers;
        std::uint32_t count = 0;
        std::uint64_t number = 0;
        for (const char c : record) {
            if (c >= '0' && c <= '9') {
                number = number * 10 + static_cast<unsigned>(c - '0');
            } else {
                append_little_endian(numbers, number);
                number = 0;
                ++count;
            }
        }
        append_little_endian(numbers, number);
        ++count;
        const std::size_t start = bytes.size();
        bytes += "CREC";
        append_little_endian(bytes, count / 2);
        bytes += numbers.substr(0, count / 2 * 16);
        seal(bytes, start);
    }
    return bytes;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    take(text);
    take(sealed(text));
    return 0;
}
