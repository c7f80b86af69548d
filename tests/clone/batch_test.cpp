#include "clone/batch.hpp"

#include "base/files.hpp"

#include <doctest/doctest.h>

#include <string>

namespace coldspare::clone {

TEST_CASE("a batch is its frames one after the other") {
    Batch batch;
    CHECK(batch.empty());
    const FrameHeader zero{.type = FrameType::zero, .raw_length = 4096};
    const FrameHeader data{
        .type = FrameType::data, .offset = 4096, .raw_length = 4, .wire_length = 4};
    const std::string payload = "abcd";
    batch.add(zero);
    batch.add(data, as_byte_span(payload));
    CHECK_FALSE(batch.empty());
    CHECK(batch.size() == 2 * header_size + 4);
    REQUIRE(batch.pieces().size() == 3);
    CHECK(decode(batch.pieces()[0].first<header_size>()) == zero);
    CHECK(decode(batch.pieces()[1].first<header_size>()) == data);
    CHECK(batch.pieces()[2].data() == as_byte_span(payload).data());
    batch.clear();
    CHECK(batch.empty());
    CHECK(batch.size() == 0);
    CHECK(batch.pieces().empty());
}

TEST_CASE("a batch that is filled until it is full has every header where it was") {
    const std::string payload = "x";
    for (int round = 0; round < 2; ++round) {
        Batch batch;
        std::vector<const std::byte*> places;
        std::uint64_t frames = 0;
        // Three more fit: what a worker adds between two looks.
        for (int more = 4; more > 0; more -= batch.full() ? 1 : 0) {
            batch.add({.type = FrameType::data, .offset = frames}, as_byte_span(payload));
            places.push_back(batch.pieces()[2 * frames].data());
            ++frames;
        }
        CHECK(batch.pieces().size() <= 1024); // sendmsg(2)
        REQUIRE(batch.pieces().size() == 2 * frames);
        for (std::uint64_t i = 0; i < frames; ++i) {
            CHECK(batch.pieces()[2 * i].data() == places[i]);
            CHECK(decode(batch.pieces()[2 * i].first<header_size>()).offset == i);
        }
    }
}

} // namespace coldspare::clone
