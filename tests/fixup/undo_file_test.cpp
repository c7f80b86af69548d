#include "fixup/undo_file.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"

#include <doctest/doctest.h>

using namespace coldspare;
using namespace coldspare::fixup;

TEST_CASE("what was saved is put back, and nothing else is touched") {
    const TemporaryDirectory directory;
    const std::filesystem::path disk = directory / "disk";
    const std::filesystem::path undo = directory / "undo";
    std::string content(3 << 20, 'a');
    content.replace(1 << 20, 100, std::string(100, 'b'));
    write_file_atomically(disk, content);
    const std::vector<ByteRange> ranges{{0, 512}, {1 << 20, (1 << 20) + 7}};
    const std::uint64_t before = sum_of(disk, ranges);
    write_undo_file(undo, disk, "00ff", ranges);
    CHECK(read_undo_file(undo).ranges == ranges);
    CHECK(read_undo_file(undo).root == "00ff");
    CHECK(saved_sum(undo) == before);

    std::string changed = content;
    changed.replace(0, 4, "GRUB");
    changed.replace((2 << 20) + 6, 1, "x"); // the last byte of the second range
    changed.replace((2 << 20) + 7, 1, "y"); // somebody else's
    write_file_atomically(disk, changed);
    CHECK(sum_of(disk, ranges) != before);
    put_back(undo, disk);
    put_back(undo, disk);
    CHECK(sum_of(disk, ranges) == before);
    content.replace((2 << 20) + 7, 1, "y");
    CHECK(read_file(disk, 4 << 20) == content);
}

TEST_CASE("a disk of another size is not written") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "disk", "abcdef");
    write_undo_file(directory / "undo", directory / "disk", "", std::vector<ByteRange>{{1, 2}});
    write_file_atomically(directory / "disk", "ABCDEFG");
    try {
        put_back(directory / "undo", directory / "disk");
        FAIL("it ended well");
    } catch (const Error& error) {
        CHECK(error.status() == ExitStatus::refused);
    }
    CHECK(read_file(directory / "disk", 100) == "ABCDEFG");
}

TEST_CASE("only a whole undo file is one") {
    const std::string head =
        "COLDSPARE UNDO 1\n{\"size\":100,\"root\":\"ab\",\"ranges\":[[0,4],[10,6]]}\n";
    CHECK(parse_undo_header(head, head.size() + 10).ranges ==
          std::vector<ByteRange>{{0, 4}, {10, 6}});
    CHECK_THROWS_AS(static_cast<void>(parse_undo_header(head, head.size() + 9)), Error);
    for (const char* text :
         {"", "COLDSPARE UNDO 2\n{}\n", "COLDSPARE UNDO 1\n{}", "COLDSPARE UNDO 1\n{}\n",
          "COLDSPARE UNDO 1\n{\"size\":100,\"root\":\"ab\",\"ranges\":[[0,0]]}\n",
          "COLDSPARE UNDO 1\n{\"size\":100,\"root\":\"ab\",\"ranges\":[[5,5],[4,1]]}\n",
          "COLDSPARE UNDO 1\n{\"size\":100,\"root\":\"ab\",\"ranges\":[[99,2]]}\n",
          "COLDSPARE UNDO "
          "1\n{\"size\":100,\"root\":\"ab\",\"ranges\":[[1,18446744073709551615]]}\n",
          "COLDSPARE UNDO 1\n{\"size\":100,\"root\":\"ab\",\"ranges\":[[1]]}\n",
          "COLDSPARE UNDO 1\n{\"size\":100,\"root\":\"ab\",\"ranges\":7}\n"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(static_cast<void>(parse_undo_header(text, 200)), Error);
    }
}
