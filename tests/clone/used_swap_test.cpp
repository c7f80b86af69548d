#include "base/error.hpp"
#include "clone/used_space.hpp"
#include "tests/support/images.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <algorithm>
#include <doctest/doctest.h>

namespace coldspare::clone {

namespace fs = std::filesystem;
using namespace images;

namespace {

constexpr std::uint64_t size = 8 << 20;
constexpr std::uint64_t mebibyte = 1 << 20;

std::vector<Range> free_in(const fs::path& image) {
    return free_space_of_swap(reader_of(image), fs::file_size(image));
}

std::string reason(const fs::path& image) {
    return thrown_by([&] { static_cast<void>(free_in(image)); }).message();
}

void make_swap(const fs::path& image, const std::string& page = "4096") {
    make(image, size);
    run_well({"mkswap", "-q", "--pagesize", page, image.string()});
}

} // namespace

TEST_CASE("a swap area is free past its first mebibyte") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    for (const std::string page : {"4096", "16384", "65536"}) {
        CAPTURE(page);
        make_swap(image, page);
        CHECK(free_in(image) == std::vector<Range>{{mebibyte, size - mebibyte}});
        for (const std::uint64_t field : {1024U, 1028U}) { // as a big-endian machine writes it
            std::string number = bytes_at(image, field, 4);
            std::ranges::reverse(number);
            overwrite(image, field, number);
        }
        CHECK(free_in(image) == std::vector<Range>{{mebibyte, size - mebibyte}});
    }
}

TEST_CASE("what lies behind the end of a swap area is not free") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make_swap(image);
    fs::resize_file(image, size + 12345);
    CHECK(free_in(image) == std::vector<Range>{{mebibyte, size - mebibyte}});
}

TEST_CASE("a swap area of a mebibyte has nothing free") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make(image, mebibyte);
    run_well({"mkswap", "-q", image.string()});
    CHECK(free_in(image).empty());
}

TEST_CASE("a swap area with a hibernated system is not believed") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    for (const std::string signature : {"S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"}) {
        for (const std::uint64_t page : {4096U, 8192U, 16384U, 32768U, 65536U}) {
            CAPTURE(signature);
            CAPTURE(page);
            make_swap(image);
            overwrite(image, page - 10, signature);
            CHECK(reason(image) == "it holds the memory of a hibernated system");
        }
    }
}

TEST_CASE("a swap area that contradicts itself is not believed") {
    const TemporaryDirectory directory;
    const fs::path image = directory / "image";
    make_swap(image);
    overwrite(image, 8192 - 10, "SWAPSPACE2");
    CHECK(reason(image) == "it has the signatures of two page sizes");
    make_swap(image);
    overwrite(image, 4096 - 10, "SWAP-SPACE");
    CHECK(reason(image) == "it has no signature of a swap area of today");
    make_swap(image);
    overwrite(image, 1024, std::string("\3\0\0\0", 4));
    CHECK(reason(image) == "its version is not known");
    make_swap(image);
    fs::resize_file(image, size - 4096);
    CHECK(reason(image) == "it has 8388608 bytes, and there is room for 8384512");
}

} // namespace coldspare::clone
