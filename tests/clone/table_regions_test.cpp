#include "clone/table_regions.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "clone/wire.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/support/memory_disk.hpp"
#include "tests/support/session.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <string>

namespace coldspare::clone {

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

TableRegion region(std::uint64_t offset, std::size_t length, unsigned value = 7) {
    return {offset, std::vector<std::byte>(length, static_cast<std::byte>(value))};
}

std::string refused(const TableRegions& regions, std::uint64_t size = mebibyte) {
    return thrown_by([&] { static_cast<void>(parse_regions(encode_regions(regions), size)); })
        .message();
}

std::string refused_ranges(const std::vector<Range>& ranges, std::uint64_t size = mebibyte) {
    return thrown_by([&] { static_cast<void>(parse_ranges(encode_ranges(ranges), size)); })
        .message();
}

/// An MBR with one partition at sector 8 of 16.
std::vector<std::byte> disk_with_table() {
    std::vector<std::byte> bytes(16 * 512, std::byte{0xEE});
    std::fill_n(bytes.begin() + 446, 64, std::byte{0});
    bytes[446 + 4] = std::byte{0x83};
    bytes[446 + 8] = std::byte{8};
    bytes[446 + 12] = std::byte{8};
    bytes[510] = std::byte{0x55};
    bytes[511] = std::byte{0xaa};
    return bytes;
}

/// Writes to a target that wants the table and the partition alone.
class Choosing : public MemoryDestination {
public:
    Choosing(MemoryDisk& disk, const SessionOptions& options, Outcome& outcome,
             std::vector<Range> unwanted)
        : MemoryDestination(disk, options, outcome), unwanted_(std::move(unwanted)) {}
    void told_table(TableRegions table) override { told = std::move(table); }
    [[nodiscard]] Opened open(const DiskFacts& source, const Geometry& geometry) override {
        Opened opened = MemoryDestination::open(source, geometry);
        opened.unwanted = unwanted_;
        return opened;
    }
    TableRegions told;

private:
    std::vector<Range> unwanted_;
};

} // namespace

TEST_CASE("regions of a table come back as they were") {
    const TableRegions regions{region(0, 512), region(1024, 4096, 9), region(mebibyte - 512, 512)};
    CHECK(parse_regions(encode_regions(regions), mebibyte) == regions);
    CHECK(parse_regions("", mebibyte).empty());
}

TEST_CASE("regions that are not on the disk, in order, or whole are refused") {
    const std::string broken = "the peer broke the protocol: TABLE: ";
    CHECK(refused({region(mebibyte, 512)}) == broken + "a region of 512 bytes at 1048576");
    CHECK(refused({region(512, 512), region(512, 512)}) == broken + "a region of 512 bytes at 512");
    CHECK(refused({region(512, 512), region(0, 512)}) == broken + "a region of 512 bytes at 0");
    CHECK(refused({region(100, 512)}) == broken + "a region of 512 bytes at 100");
    CHECK(refused({region(0, 511)}) == broken + "a region of 511 bytes at 0");
    CHECK(refused({region(0, 0)}) == broken + "a region of 0 bytes at 0");
    CHECK(refused(TableRegions(1, region(~std::uint64_t{511}, 512))) ==
          broken + "a region of 512 bytes at 18446744073709551104");
    TableRegions many;
    for (std::uint64_t i = 0; i <= most_regions; ++i) {
        many.push_back(region(i * 1024, 512));
    }
    CHECK(refused(many) == broken + "a region without its head, or too many");
    const std::string whole = encode_regions({region(0, 512)});
    CHECK_THROWS_AS(parse_regions(whole.substr(0, 11), mebibyte), Error);
    CHECK_THROWS_AS(parse_regions(whole.substr(0, 300), mebibyte), Error);
}

TEST_CASE("unwanted ranges are those of the document, and limited") {
    const std::string page = read_file(SOURCE_DIR "/docs/PROTOCOL.md", std::size_t{1} << 20);
    const std::string payload = encode_ranges({{mebibyte, mebibyte}});
    const FrameHeader header{.type = FrameType::unwanted,
                             .wire_length = static_cast<std::uint32_t>(payload.size()),
                             .hash = hash_block(as_byte_span(payload))};
    const auto bytes = encode(header);
    const std::string frame =
        to_hex(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + payload);
    std::string documented;
    const std::size_t start = page.find("Example: UNWANTED for the second MiB of a disk");
    REQUIRE(start != std::string::npos);
    for (const std::string_view line : split_lines(std::string_view(page).substr(start))) {
        for (const char c : line.starts_with("    ") ? line : "") {
            documented += c == ' ' ? "" : std::string(1, c);
        }
    }
    CHECK(documented == frame);
    CHECK(parse_ranges(payload, 2 * mebibyte) == std::vector<Range>{{mebibyte, mebibyte}});
    CHECK(parse_ranges(encode_ranges({{512, 99}}), 611) == std::vector<Range>{{512, 99}});

    const std::string broken = "the peer broke the protocol: UNWANTED: ";
    CHECK(refused_ranges({{512, 100}}) == broken + "100 bytes at 512");
    CHECK(refused_ranges({{100, 512}}) == broken + "512 bytes at 100");
    CHECK(refused_ranges({{0, 0}}) == broken + "0 bytes at 0");
    CHECK(refused_ranges({{512, 512}, {0, 512}}) == broken + "512 bytes at 0");
    CHECK(refused_ranges({{mebibyte, 512}}) == broken + "512 bytes at 1048576");
    CHECK(refused_ranges(std::vector<Range>(4097, {0, 512})) == broken + "65552 bytes");
    CHECK_THROWS_AS(parse_ranges("short", mebibyte), Error);
}

TEST_CASE("of a disk without a table nothing is told, and of one that cannot be read neither") {
    MemoryDisk blank(mebibyte, std::byte{0});
    CHECK(regions_of(blank).empty());
    MemoryDisk disk(disk_with_table());
    // Sector 1 is asked for as well: a GPT might be there.
    const TableRegions expected{{0, {disk.content().begin(), disk.content().begin() + 1024}}};
    CHECK(regions_of(disk) == expected);
    FaultyDisk faulty(disk, {.read_at = 0});
    CHECK(regions_of(faulty).empty());
    MemoryDisk tiny(300, std::byte{0x55});
    CHECK(regions_of(tiny).empty());
}

TEST_CASE("what a target does not want is not read, and is zeros on both sides") {
    MemoryDisk source(disk_with_table());
    source.content().resize(3 * mebibyte, std::byte{0x33});
    source.facts().size = 3 * mebibyte;
    MemoryDisk target(3 * mebibyte, std::byte{0});
    const std::vector<Range> unwanted{{512, 1536}, {mebibyte, mebibyte + 512}};
    const SessionOptions options;
    Outcome outcome;
    Listener listener = loopback_listener();
    const Address address = listener.address();
    const Notice quiet = [](std::string_view) {};
    const std::unique_ptr<Peers> there =
        listening_peers(std::move(listener), {}, std::chrono::seconds(0), quiet);
    const std::unique_ptr<Peers> here =
        connecting_peers(address, {}, std::chrono::seconds(5), quiet);
    Choosing destination(target, options, outcome, unwanted);
    std::jthread receiving([&] {
        try {
            outcome.received = receive_disk(*there, {.program = "coldspare test", .streams = 1},
                                            destination, [](const Progress&) {}, {});
        } catch (const Error& error) {
            outcome.target_error = error;
        }
    });
    outcome.sent = run_source(source, *here, options);
    receiving.join();
    std::vector<std::byte> expected = source.content();
    for (const Range& range : unwanted) {
        std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(range.offset), range.length,
                    std::byte{0});
    }
    require_copied(outcome, target, expected);
    REQUIRE_FALSE(destination.told.empty());
    CHECK(destination.told.front().bytes.size() == 1024);
    for (const Range& read : source.reads()) {
        const bool apart = read.end() <= mebibyte || read.offset >= 2 * mebibyte + 512;
        CHECK(apart);
    }
}

TEST_CASE("a manifest remembers a view, and nobody can make it lie") {
    Manifest manifest;
    manifest.geometry = {65536, 4096};
    manifest.leaves.resize(16);
    manifest.root = root_of(manifest.geometry, manifest.leaves);
    manifest.view = DiskView{.size = 65536,
                             .moves = {{{512, 1024}, 512}, {{8192, 4096}, 16384}},
                             .kept = {region(0, 512), region(2048, 512, 0)}};
    manifest.grown = {{2, {8192, 4096}}};
    const Manifest back = parse_manifest(encode_manifest(manifest));
    CHECK(back.view == manifest.view);
    CHECK(back.grown == manifest.grown);
    const auto reason = [&](auto change) {
        Manifest changed = manifest;
        change(changed);
        return thrown_by([&] { static_cast<void>(parse_manifest(encode_manifest(changed))); })
            .message();
    };
    CHECK(reason([](Manifest& each) { each.view->moves[1].target = 16896; }) ==
          "the manifest is damaged: its view has an impossible move");
    CHECK(reason([](Manifest& each) { each.view->moves[1].target = 0; }) ==
          "the manifest is damaged: its view has two bytes at one place");
    CHECK(reason([](Manifest& each) { each.view->kept[1].offset = 65536; }) ==
          "the manifest is damaged: its view keeps impossible bytes");
    CHECK(reason([](Manifest& each) { each.view->moves.resize(1001); }) ==
          "the manifest is damaged: its view is not readable");
    CHECK(reason([](Manifest& each) { each.grown[0].source.length = 65536; }) ==
          "the manifest is damaged: 'grown' has an impossible range");
}

} // namespace coldspare::clone
