#include "clone/digest.hpp"

#include "base/files.hpp"
#include "base/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace coldspare::clone {

namespace {

std::string hex_of(const Leaf& leaf) {
    return to_hex(std::string_view(reinterpret_cast<const char*>(leaf.data()), leaf.size()));
}

} // namespace

TEST_CASE("a leaf is XXH3-128 with the most significant byte first") {
    // xxHash's own: XXH128 of nothing and of "abc".
    CHECK(hex_of(hash_block({})) == "99aa06d3014798d86001c324468d497f");
    CHECK(hex_of(hash_block(as_byte_span("abc"))) == "06b05ab6733a618578af5f94892f3950");
}

TEST_CASE("the check of a header is XXH3-64") {
    CHECK(hash_header({}) == 0x2d06800538d394c2);
    CHECK(hash_header(as_byte_span("abc")) == 0x78af5f94892f3950);
}

TEST_CASE("SHA-256 gives the digests of FIPS 180") {
    CHECK(hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hex(sha256(as_byte_span("abc"))) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hex(sha256(as_byte_span("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("the digest of pieces is the digest of the whole") {
    const std::array<std::string_view, 3> pieces{"a", "", "bc"};
    CHECK(sha256_of_pieces(pieces) == sha256(as_byte_span("abc")));
}

TEST_CASE("the leaf of zeros is the hash of zeros") {
    for (const std::uint32_t length : {1U, 511U, 4096U, 262143U, 262144U, 262145U, 4194304U}) {
        CAPTURE(length);
        CHECK(zero_leaf(length) == hash_block(std::vector<std::byte>(length)));
    }
}

TEST_CASE("bytes are zero only if each of them is") {
    std::vector<std::byte> room(64);
    for (std::size_t start = 0; start < 9; ++start) {
        for (std::size_t size = 0; size <= 40; ++size) {
            CAPTURE(start);
            CAPTURE(size);
            const std::span<std::byte> bytes = std::span(room).subspan(start, size);
            // What lies around the bytes does not count.
            std::ranges::fill(room, std::byte{0xff});
            std::ranges::fill(bytes, std::byte{0});
            CHECK(is_zero(bytes));
            for (std::byte& byte : bytes) {
                byte = std::byte{0x80};
                CHECK_FALSE(is_zero(bytes));
                byte = std::byte{0};
            }
        }
    }
}

TEST_CASE("a large block with one bit set at its end is not zero") {
    std::vector<std::byte> block(default_block_size);
    CHECK(is_zero(block));
    block.back() = std::byte{1};
    CHECK_FALSE(is_zero(block));
}

TEST_CASE("a root is SHA-256 over prefix and geometry and leaves") {
    const std::string block(4096, 'x');
    const Leaf leaf = hash_block(as_byte_span(block));
    std::string input = "coldspare root 1\n";
    input.append("\x03\x10\x00\x00\x00\x00\x00\x00", 8); // 4099 bytes
    input.append("\x00\x10\x00\x00", 4);                 // in blocks of 4096
    const Leaf tail = hash_block(as_byte_span("xyz"));
    for (const Leaf& each : {leaf, tail}) {
        input.append(reinterpret_cast<const char*>(each.data()), each.size());
    }
    const std::array<Leaf, 2> leaves{leaf, tail};
    CHECK(root_of({4099, 4096}, leaves) == sha256(as_byte_span(input)));
}

TEST_CASE("a root depends on the geometry and on each leaf in its place") {
    const std::array<Leaf, 2> leaves{hash_block(as_byte_span("a")), hash_block(as_byte_span("b"))};
    const std::array<Leaf, 2> swapped{leaves[1], leaves[0]};
    const Sha256 root = root_of({8192, 4096}, leaves);
    CHECK(root_of({8192, 4096}, swapped) != root);
    CHECK(root_of({8191, 4096}, leaves) != root);
    CHECK(root_of({16384, 8192}, leaves) != root);
}

TEST_CASE("random bytes are as many as asked for and not the same twice") {
    CHECK(random_bytes(0).empty());
    CHECK(random_bytes(16).size() == 16);
    CHECK(random_bytes(16) != random_bytes(16));
}

} // namespace coldspare::clone
