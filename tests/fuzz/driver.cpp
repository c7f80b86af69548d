// Runs a fuzz target without libFuzzer: the seeds, then mutations of them, the same ones each time.
//
//     NAME_fuzz SECONDS [DIRECTORY OF SEEDS]
//
// A build with libFuzzer (-DCOLDSPARE_FUZZ=ON, clang) finds more and keeps the input that failed.
#include "base/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_input = 4096;

/// What text formats are made of; spliced in, it gets further than single bytes do.
constexpr std::array<std::string_view, 20> words{
    "{",  "}",  "[",       "]",    "\"",   ":",   ",",    "0",       "-1",   "18446744073709551616",
    "\n", "\\", "\\u0000", "null", "true", "1e9", "\xff", "\x1b[2J", "4096", "\"disk\":"};

/// std::uniform_int_distribution gives other numbers with other libraries.
class Dice {
public:
    std::size_t below(std::size_t limit) {
        return static_cast<std::size_t>(generator_() % std::max<std::size_t>(limit, 1));
    }

private:
    std::mt19937_64 generator_{20261122};
};

void mutate(std::string& text, const std::vector<std::string>& seeds, Dice& dice) {
    const std::size_t at = dice.below(text.size() + 1);
    switch (dice.below(6)) {
    case 0:
        if (at < text.size()) {
            text[at] = static_cast<char>(text[at] ^ (1 << dice.below(8)));
        }
        break;
    case 1:
        if (at < text.size()) {
            text[at] = static_cast<char>(dice.below(256));
        }
        break;
    case 2:
        text.erase(at, dice.below(16));
        break;
    case 3:
        text.insert(at, words[dice.below(words.size())]);
        break;
    case 4:
        text.insert(at, text.substr(dice.below(text.size() + 1), dice.below(64)));
        break;
    default: {
        const std::string& other = seeds[dice.below(seeds.size())];
        text = text.substr(0, at) + other.substr(dice.below(other.size() + 1));
    }
    }
    text.resize(std::min(text.size(), longest_input));
}

void run(const std::string& text) {
    // A copy of the exact size, so that the sanitizer sees one byte too far.
    const std::vector<std::uint8_t> exact(text.begin(), text.end());
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fputs("usage: FUZZER SECONDS [DIRECTORY OF SEEDS]\n", stderr);
        return 2;
    }
    std::vector<std::string> seeds{std::string(), std::string(64, '\0')};
    if (argc > 2 && fs::is_directory(argv[2])) {
        for (const fs::directory_entry& entry : fs::directory_iterator(argv[2])) {
            seeds.push_back(coldspare::read_file(entry.path(), std::size_t{1} << 20));
        }
        std::sort(seeds.begin(), seeds.end());
    }
    for (const std::string& seed : seeds) {
        run(seed);
    }
    Dice dice;
    std::uint64_t inputs = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[1]));
    while (std::chrono::steady_clock::now() < end) {
        std::string text = seeds[dice.below(seeds.size())];
        for (std::size_t count = 1 + dice.below(8); count > 0; --count) {
            mutate(text, seeds, dice);
        }
        run(text);
        ++inputs;
    }
    fmt::print("{} seeds and {} mutations of them\n", seeds.size(), inputs);
    return 0;
}
