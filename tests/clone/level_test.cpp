#include "clone/level.hpp"

#include <doctest/doctest.h>

#include <map>

namespace coldspare::clone {

namespace {

constexpr std::size_t block = 256 * 1024;

/// What the data is like at level 1: the other levels follow as zstd's usually do.
struct Data {
    double seconds_a_byte = 3e-9;
    double ratio = 0.4;
};

/// Lets a worker carry `pieces` of one block each over a connection of `rate` bytes a second;
/// counts how often each level was chosen (INT32_MIN: store).
std::map<int, int> carry(LevelChooser& chooser, double rate, int pieces, const Data& data = {}) {
    const std::map<int, std::pair<double, double>> usual{{-1, {0.85, 1.08}}, {1, {1.0, 1.0}},
                                                         {3, {1.9, 0.94}},   {6, {5.0, 0.88}},
                                                         {9, {8.0, 0.86}},   {12, {20.0, 0.85}}};
    std::map<int, int> chosen;
    for (int i = 0; i < pieces; ++i) {
        if (const std::optional<int> level = chooser.level()) {
            const auto& [cost, ratio] = usual.at(*level);
            // Noise of a tenth, in turns.
            const double noise = 1 + (i % 3 - 1) * 0.1;
            chooser.packed(block, static_cast<std::size_t>(block * data.ratio * ratio),
                           std::chrono::nanoseconds(static_cast<std::int64_t>(
                               block * data.seconds_a_byte * cost * noise * 1e9)));
        }
        chooser.carried(rate * (1 + (i % 5 - 2) * 0.05));
        chooser.choose();
        ++chosen[chooser.level().value_or(INT32_MIN)];
    }
    return chosen;
}

} // namespace

TEST_CASE("the level follows the link: the slower it is the harder is packed") {
    struct Row {
        double rate;
        int lowest;
        int highest;
    };
    // bytes a second of one connection
    for (const Row& row : {Row{1e9, INT32_MIN, INT32_MIN}, Row{125e6, -1, 1}, Row{60e6, 1, 3},
                           Row{12.5e6, 3, 9}, Row{1e6, 9, 12}}) {
        CAPTURE(row.rate);
        LevelChooser chooser({});
        carry(chooser, row.rate, 300);
        const int level = chooser.level().value_or(INT32_MIN);
        CHECK(level >= row.lowest);
        CHECK(level <= row.highest);
    }
}

TEST_CASE("the level settles and does not flutter with noise") {
    for (const double rate : {1e9, 300e6, 125e6, 60e6, 30e6, 12.5e6, 5e6, 1e6}) {
        CAPTURE(rate);
        LevelChooser chooser({});
        carry(chooser, rate, 300);
        CHECK(carry(chooser, rate, 1000).size() == 1);
    }
}

TEST_CASE("the level changes with the link, both ways") {
    LevelChooser chooser({});
    carry(chooser, 2e9, 100);
    CHECK(chooser.level() == std::nullopt);
    carry(chooser, 1e6, 200);
    REQUIRE(chooser.level().has_value());
    CHECK(*chooser.level() >= 6);
    carry(chooser, 2e9, 200);
    CHECK(chooser.level() == std::nullopt);
}

TEST_CASE("data that hardly packs is stored where the link is fast, and nothing flutters") {
    const Data noise{.seconds_a_byte = 3e-9, .ratio = 0.93};
    for (const double rate : {1e9, 250e6, 125e6, 12.5e6, 1e6}) {
        CAPTURE(rate);
        LevelChooser chooser({});
        carry(chooser, rate, 300, noise);
        CHECK(carry(chooser, rate, 300, noise).size() == 1);
    }
    LevelChooser chooser({});
    carry(chooser, 125e6, 300);
    REQUIRE(chooser.level().has_value());
    // From files to noise, on a link that has become faster than a core packs.
    carry(chooser, 1e9, 300, noise);
    CHECK(chooser.level() == std::nullopt);
}

TEST_CASE("nothing is packed before the rate of the link is known") {
    LevelChooser chooser({});
    for (int i = 0; i < 10; ++i) {
        chooser.choose();
        CHECK(chooser.level() == std::nullopt);
    }
}

TEST_CASE("a level that was asked for stays and so does none") {
    for (const double rate : {1e9, 1e6}) {
        CAPTURE(rate);
        LevelChooser fixed({.mode = Compression::Mode::fixed, .level = 6});
        CHECK(carry(fixed, rate, 100) == std::map<int, int>{{6, 100}});
        LevelChooser none({.mode = Compression::Mode::none, .level = 6});
        CHECK(carry(none, rate, 100) == std::map<int, int>{{INT32_MIN, 100}});
    }
}

} // namespace coldspare::clone
