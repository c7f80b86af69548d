#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace coldspare::images {

/// An XFS of version 4 with one allocation group of 64 blocks of 512 bytes, which no mkfs.xfs would
/// make: superblock, headers of the group, the root of its tree of free space, and a clean log of
/// three blocks. What lies behind these 4096 bytes does not matter to the reader.
struct TinyXfs {
    static constexpr std::uint64_t size = 64 * 512;
    static constexpr std::size_t agf = 512;
    static constexpr std::size_t tree = 4 * 512;
    static constexpr std::size_t log = 5 * 512;

    std::string bytes = std::string(8 * 512, '\0');

    TinyXfs() {
        put(0, 0x58465342, 4);
        put(4, 512, 4);      // blocksize
        put(8, 64, 8);       // dblocks
        put(32, 0x7575, 8);  // uuid
        put(48, 5, 8);       // logstart
        put(84, 64, 4);      // agblocks
        put(88, 1, 4);       // agcount
        put(96, 3, 4);       // logblocks
        put(100, 0xb4b4, 2); // versionnum: 4, with log version 2 and features2
        put(102, 512, 2);    // sectsize
        put(120, 9, 1);      // blocklog
        put(121, 9, 1);      // sectlog
        put(124, 6, 1);      // agblklog
        put(144, 30, 8);     // fdblocks
        put(200, 0xa, 4);    // features2
        put(204, 0xa, 4);    // bad_features2

        put(agf, 0x58414746, 4);
        put(agf + 4, 1, 4);   // versionnum
        put(agf + 12, 64, 4); // length
        put(agf + 16, 4, 4);  // root by block number
        put(agf + 28, 1, 4);  // its levels
        put(agf + 52, 30, 4); // freeblks
        put(agf + 56, 20, 4); // longest

        put(tree, 0x41425442, 4);
        put(tree + 6, 2, 2); // numrecs
        put(tree + 8, 0xffffffff, 4);
        put(tree + 12, 0xffffffff, 4);
        put(tree + 16, 10, 4);
        put(tree + 20, 10, 4);
        put(tree + 24, 40, 4);
        put(tree + 28, 20, 4);

        put(log, 0xfeedbabe, 4);
        put(log + 4, 1, 4);        // cycle
        put(log + 8, 2, 4);        // version
        put(log + 12, 512, 4);     // len
        put(log + 16, 1, 4);       // lsn: cycle 1, block 0
        put(log + 40, 1, 4);       // num_logops
        put(log + 304, 0x7575, 8); // fs_uuid
        put(log + 320, 32768, 4);  // size
        put(log + 512, 1, 4);      // cycle
        put(log + 512 + 8, 0xaa, 1);
        put(log + 512 + 9, 0x20, 1); // unmount
    }

    void put(std::size_t at, std::uint64_t value, std::size_t length) {
        for (std::size_t i = 0; i < length; ++i) {
            bytes[at + i] = static_cast<char>(value >> (8 * (length - 1 - i)));
        }
    }
};

} // namespace coldspare::images
