#include "clone/journal.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/digest.hpp"
#include "clone/little_endian.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <sys/stat.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t block = 4096;
constexpr std::size_t limit = 1 << 20;

JournalHead some_head() {
    return {.geometry = {100 * block + 7, block},
            .source_name = "/dev/sda",
            .source_model = "ST500",
            .source_serial = "Z4Y",
            .source_wwn = "naa.5000",
            .target_inode = 4711,
            .target_born = 1795318000123456789,
            .target_serial = "S2",
            .target_wwn = "naa.6000"};
}

const std::vector<Range> first{{0, 3 * block}};
const std::vector<Range> second{{5 * block, block}, {100 * block, 7}};
const std::vector<Range> both{{0, 3 * block}, {5 * block, block}, {100 * block, 7}};

/// The bytes of a journal with those two records, and where they end.
struct Example {
    std::string bytes;
    std::size_t head = 0;
    std::size_t after_first = 0;
};

Example example() {
    const TemporaryDirectory directory;
    const fs::path path = directory / "x.journal";
    Example result;
    Journal journal = Journal::create(path, some_head());
    result.head = fs::file_size(path);
    journal.append(first);
    result.after_first = fs::file_size(path);
    journal.append(second);
    result.bytes = read_file(path, limit);
    return result;
}

std::string record_of(std::span<const Range> ranges) {
    std::string bytes = "CREC";
    append_little_endian(bytes, static_cast<std::uint32_t>(ranges.size()));
    for (const Range& range : ranges) {
        append_little_endian(bytes, range.offset);
        append_little_endian(bytes, range.length);
    }
    append_little_endian(bytes, hash_header(as_byte_span(bytes)));
    return bytes;
}

/// A head of our own making around `text`.
std::string head_of(std::string_view text) {
    std::string bytes = "COLDSPARE JOURNAL 1\n";
    append_little_endian(bytes, static_cast<std::uint32_t>(text.size()));
    bytes += text;
    append_little_endian(bytes, hash_header(as_byte_span(bytes)));
    return bytes;
}

/// The JSON of a good head.
std::string good_text() {
    const Example good = example();
    return good.bytes.substr(24, good.head - 24 - 8);
}

std::string with(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a journal comes back as it was written, with its ranges joined") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "made" / "x.journal";
    Journal journal = Journal::create(path, some_head());
    CHECK(read_journal(path)->head == some_head());
    CHECK(read_journal(path)->durable.empty());
    journal.append(second);
    journal.append(first);
    journal.append(std::vector<Range>{{3 * block, 2 * block}});
    const std::optional<JournalContent> back = read_journal(path);
    CHECK(back->head == some_head());
    CHECK(back->durable == std::vector<Range>{{0, 6 * block}, {100 * block, 7}});
    CHECK(back->good_bytes == fs::file_size(path));
    CHECK((fs::status(path).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("no journal is an answer") {
    const TemporaryDirectory directory;
    CHECK_FALSE(read_journal(directory / "x.journal").has_value());
}

TEST_CASE("a journal has the layout that the formats page tells") {
    const Example good = example();
    CHECK(good.bytes.starts_with("COLDSPARE JOURNAL 1\n"));
    CHECK(good.bytes == head_of(good_text()) + record_of(first) + record_of(second));
    CHECK(record_of(first).size() == 8 + 16 + 8);
}

TEST_CASE("of a journal that was torn anywhere the whole records count") {
    const Example good = example();
    for (std::size_t length = 0; length < good.bytes.size(); ++length) {
        CAPTURE(length);
        const std::string_view torn = std::string_view(good.bytes).substr(0, length);
        if (length < good.head) {
            CHECK_THROWS_AS(static_cast<void>(parse_journal(torn)), Error);
            continue;
        }
        const JournalContent content = parse_journal(torn);
        CHECK(content.durable == (length < good.after_first ? std::vector<Range>() : first));
        CHECK(content.good_bytes == (length < good.after_first ? good.head : good.after_first));
    }
}

TEST_CASE("with any bit flipped a journal tells nothing that was not written") {
    const Example good = example();
    for (std::size_t bit = 0; bit < 8 * good.bytes.size(); ++bit) {
        CAPTURE(bit);
        std::string bad = good.bytes;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        if (bit / 8 < good.head) {
            CHECK_THROWS_AS(static_cast<void>(parse_journal(bad)), Error);
            continue;
        }
        CHECK(parse_journal(bad).durable ==
              (bit / 8 < good.after_first ? std::vector<Range>() : first));
    }
}

TEST_CASE("bytes of anything behind the last record are no record") {
    const Example good = example();
    for (const std::string& tail :
         {std::string(1, '\0'), std::string(1000, '\0'), std::string("CREC"),
          std::string("CREC\xff\xff\xff\xff"), std::string(100, '\xff')}) {
        const JournalContent content = parse_journal(good.bytes + tail);
        CHECK(content.durable == both);
        CHECK(content.good_bytes == good.bytes.size());
    }
}

TEST_CASE("a record with an impossible range ends the journal, and none of its ranges counts") {
    const std::string head = head_of(good_text());
    const Range good{8 * block, block};
    for (const Range& range :
         {Range{0, 0}, Range{1, block}, Range{0, block + 1}, Range{101 * block, block},
          Range{100 * block, block}, Range{100 * block, 8}, Range{UINT64_MAX - block + 1, block},
          Range{0, UINT64_MAX}, Range{block, UINT64_MAX - block + 1}}) {
        CAPTURE(range.offset);
        CAPTURE(range.length);
        const JournalContent content =
            parse_journal(head + record_of(first) + record_of(std::vector<Range>{good, range}) +
                          record_of(second));
        CHECK(content.durable == first);
        CHECK(content.good_bytes == head.size() + record_of(first).size());
    }
}

TEST_CASE("a head that is not a journal's is damaged with the reason") {
    const std::string text = good_text();
    struct Row {
        std::string_view reason;
        std::string bytes;
    };
    const std::string unreadable = "its description is not readable";
    const std::string impossible = "its geometry is impossible";
    for (const Row& row : std::vector<Row>{
             {"it does not begin like one", ""},
             {"it does not begin like one", "COLDSPARE JOURNAL 2\n" + std::string(100, ' ')},
             {"it is too short", "COLDSPARE JOURNAL 1\n"},
             {"it is too short", "COLDSPARE JOURNAL 1\n\xff\xff\xff\xff" + std::string(100, ' ')},
             {"it is too short", head_of(std::string(64 * 1024 + 1, ' '))},
             {"its checksum does not match", with(head_of(text), "ST500", "ST501")},
             {unreadable, head_of("")},
             {unreadable, head_of("[]")},
             {unreadable, head_of("{}")},
             {unreadable, head_of(text.substr(1))},
             {unreadable, head_of(with(text, "\"inode\"", "\"onode\""))},
             {unreadable, head_of(with(text, "\"Z4Y\"", "4"))},
             {impossible, head_of(with(text, "\"block_size\":4096", "\"block_size\":4095"))},
             {impossible, head_of(with(text, "\"block_size\":4096", "\"block_size\":0"))},
             {impossible, head_of(with(text, "\"size\":409607", "\"size\":0"))},
             {impossible, head_of(with(text, "\"size\":409607", "\"size\":281474976710657"))}}) {
        CAPTURE(row.bytes);
        const Error error = thrown_by([&] { static_cast<void>(parse_journal(row.bytes)); });
        CHECK(error.message() == fmt::format("the journal is damaged: {}", row.reason));
        CHECK(error.hint() == "it cannot tell how far the copy was: clone again with --erase");
    }
}

TEST_CASE("a damaged journal is told with its path and one that is too long is not read") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "x.journal";
    write_file_atomically(path, "something");
    CHECK_THROWS_WITH_AS(
        static_cast<void>(read_journal(path)),
        fmt::format("'{}': the journal is damaged: it does not begin like one", path.string())
            .c_str(),
        Error);
    write_file_atomically(path, example().bytes);
    fs::resize_file(path, (64 << 20) + 1);
    CHECK_THROWS_AS(static_cast<void>(read_journal(path)), Error);
    fs::resize_file(path, 64 << 20);
    CHECK(read_journal(path)->durable == both);
}

TEST_CASE("what goes on with a journal writes over the torn end") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "x.journal";
    const Example good = example();
    write_file_atomically(path, good.bytes.substr(0, good.bytes.size() - 3) + "torn");
    const std::optional<JournalContent> content = read_journal(path);
    CHECK(content->good_bytes == good.after_first);
    Journal journal = Journal::reopen(path, *content);
    CHECK(fs::file_size(path) == good.after_first);
    journal.append(second);
    CHECK(read_file(path, limit) == good.bytes);
}

TEST_CASE("a journal that has become long is written anew with its ranges joined") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "x.journal";
    Journal journal = Journal::create(path, some_head());
    const std::uint64_t head = fs::file_size(path);
    journal.shorten_beyond(head + 100);
    std::uint64_t longest = 0;
    for (std::uint64_t at = 0; at < 100; ++at) {
        journal.append(std::vector<Range>{{at * block, block}});
        longest = std::max(longest, static_cast<std::uint64_t>(fs::file_size(path)));
        REQUIRE(read_journal(path)->durable == std::vector<Range>{{0, (at + 1) * block}});
        REQUIRE(read_journal(path)->good_bytes == fs::file_size(path));
    }
    CHECK(longest <= 2 * (head + 100));
    CHECK(read_journal(path)->head == some_head());
}

TEST_CASE("a journal that stays long when joined is not written anew each time") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "x.journal";
    Journal journal = Journal::create(path, some_head());
    journal.shorten_beyond(fs::file_size(path) + 10 * 32);
    int rewritten = 0;
    struct stat before {};
    REQUIRE(::stat(path.c_str(), &before) == 0);
    for (std::uint64_t at = 0; at < 50; ++at) {
        journal.append(std::vector<Range>{{2 * at * block, block}});
        struct stat now {};
        REQUIRE(::stat(path.c_str(), &now) == 0);
        rewritten += now.st_ino == before.st_ino ? 0 : 1;
        before = now;
    }
    CHECK(rewritten >= 1);
    CHECK(rewritten < 5);
    CHECK(read_journal(path)->durable.size() == 50);
}

TEST_CASE("a journal that cannot be written is an error with its path") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "x.journal";
    write_file_atomically(directory / "file", "x");
    const Error error = thrown_by(
        [&] { static_cast<void>(Journal::create(directory / "file" / "x.journal", some_head())); });
    CHECK(error.hint() == "choose another with --state-dir");
}

} // namespace coldspare::clone
