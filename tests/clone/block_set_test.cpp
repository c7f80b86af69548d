#include "clone/block_set.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

namespace coldspare::clone {

TEST_CASE("a block is new in a set once") {
    for (const std::uint64_t blocks : {1U, 63U, 64U, 65U, 1000U}) {
        CAPTURE(blocks);
        BlockSet set(blocks);
        CHECK(set.missing() == blocks);
        for (std::uint64_t i = 0; i < blocks; ++i) {
            CHECK_FALSE(set.contains(i));
            CHECK(set.insert(i));
            CHECK(set.contains(i));
            CHECK_FALSE(set.insert(i));
            CHECK(set.missing() == blocks - i - 1);
        }
    }
}

TEST_CASE("of threads that put in the same block one is told that it was the first") {
    BlockSet set(5000);
    std::atomic<int> firsts{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (std::uint64_t block = 0; block < 5000; ++block) {
                    firsts += set.insert(block) ? 1 : 0;
                }
            });
        }
    }
    CHECK(firsts == 5000);
    CHECK(set.missing() == 0);
}

TEST_CASE("who sees a block in a set sees what was written before it was put in") {
    BlockSet set(20'000);
    std::vector<std::uint64_t> values(20'000);
    std::jthread writer([&] {
        for (std::uint64_t i = 0; i < values.size(); ++i) {
            values[i] = i + 1;
            set.insert(i);
        }
    });
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < values.size(); ++i) {
        while (!set.contains(i)) {
            std::this_thread::yield();
        }
        wrong += values[i] == i + 1 ? 0U : 1U;
    }
    CHECK(wrong == 0);
}

} // namespace coldspare::clone
