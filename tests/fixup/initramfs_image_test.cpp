#include "fixup/initramfs_image.hpp"

#include "base/text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <utility>
#include <vector>

using namespace coldspare;
using namespace coldspare::fixup;

namespace {

/// One archive with one member, packed by the usual programs.
constexpr std::array<std::pair<Packing, std::string_view>, 4> packed{
    {{Packing::gzip,
      "1f8b0800000000000203333037303730348000306d61986862801d1812e0e3d2660963951617e9e76426e9e7e6"
      "a794e6a416eb9be927ea26e965e73330543030301860b8059fa106e48124182324c8d1d3c73548515111683503"
      "009ecc496808010000"},
     {Packing::xz,
      "fd377a585a0000016922de36020021010c0000008f98419ce0010700525d00180ddd046232f9750b80a2bd0ffd"
      "33cc7e5999fb85ea3b3ff78d1b00bdfc37ebd3ec6f8c1eaebddbad7a5f4df2185505d9d1a048bb1d174670bba1"
      "e00dc17ba68717dd55d79b62efc5069b8baa2c25849e000000009ecc496800016a880200000039cba5413e300d"
      "8b020000000001595a"},
     {Packing::lzma,
      "5d00000400ffffffffffffffff00180ddd046232f9750b80a2bd0ffd33cc7e5999fb85ea3b3ff78d1b00bdfc37"
      "ebd3ec6f8c1eaebddbad7a5f4df2185505d9d1a048bb1d174670bba1e00dc17ba68717dd55d79b62efc5069b8b"
      "aa2c28042ea4fffecacaa0"},
     {Packing::zstd,
      "28b52ffd0468a50200e2030e11907d30818623345c68f0289246fd1f630affff0080c75c5b0f4a52febfff672b"
      "6488e38c4d2f9f190f59efd09bab5288892591421041240a20b05e6a1d10624f6431f8b83b08bc1383be54ea84"
      "eb1a0154d12e3c"}}};

const std::string one = "usr/lib/modules/6/a-b.ko";

std::string archive_of(const std::string& name) {
    return write_cpio(std::vector<CpioMember>{{.name = name, .mode = 0100644, .content = "abc"}});
}

std::string lz4_of(const std::string& bytes) {
    std::string block = "\xf0"; // literals alone
    std::size_t left = bytes.size() - 15;
    for (; left >= 255; left -= 255) {
        block += '\xff';
    }
    block += static_cast<char>(left);
    block += bytes;
    std::string stream = "\x02\x21\x4c\x18";
    for (unsigned shift = 0; shift < 32; shift += 8) {
        stream += static_cast<char>(block.size() >> shift);
    }
    return stream + block;
}

std::vector<std::string> names_of(const InitramfsImage& image) {
    std::vector<std::string> names;
    for (const auto& [name, mode] : image.listing.members) {
        names.push_back(name);
    }
    return names;
}

} // namespace

TEST_CASE("an initramfs is read whatever it is packed with") {
    for (const auto& [packing, hex] : packed) {
        CAPTURE(packing_word(packing));
        const InitramfsImage image = read_initramfs(*from_hex(hex));
        CHECK(image.problem.empty());
        CHECK(image.packing == packing);
        CHECK(names_of(image) == std::vector{one});
    }
    const InitramfsImage lz4 = read_initramfs(lz4_of(archive_of("lib/x.ko")));
    CHECK(lz4.problem.empty());
    CHECK(lz4.packing == Packing::lz4);
    CHECK(names_of(lz4) == std::vector<std::string>{"lib/x.ko"});
}

TEST_CASE("archives behind each other are one initramfs, packed or not, with zeros between") {
    for (const auto& [packing, hex] : packed) {
        CAPTURE(packing_word(packing));
        const InitramfsImage image =
            read_initramfs(archive_of("kernel/x86/microcode/a.bin") + std::string(512, '\0') +
                           *from_hex(hex) + std::string(5, '\0') + archive_of("etc/b"));
        CHECK(image.problem.empty());
        CHECK(image.packing == Packing::none);
        CHECK(names_of(image) == std::vector<std::string>{"etc/b", "kernel/x86/microcode/a.bin",
                                                          "usr/lib/modules/6/a-b.ko"});
    }
    const InitramfsImage behind_lz4 =
        read_initramfs(lz4_of(archive_of("a")) + std::string(4, '\0') + archive_of("b"));
    CHECK(behind_lz4.problem.empty());
    CHECK(names_of(behind_lz4) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("of a name that comes twice the last counts, and names lose what leads to the root") {
    const InitramfsImage image = read_initramfs(write_cpio(std::vector<CpioMember>{
        {.name = "./lib", .mode = 0040755},
        {.name = "/lib", .mode = 0120777, .content = "usr/lib"},
        {.name = "etc/cmdline.d/1.conf", .mode = 0100644, .content = "rd.lvm.lv=a/b"}}));
    CHECK(image.listing.members.at("lib") == 0120777);
    CHECK(image.listing.members.size() == 2);
    CHECK(image.listing.texts.at("etc/cmdline.d/1.conf") == "rd.lvm.lv=a/b");
    CHECK(image.listing.texts.size() == 1);
}

TEST_CASE("what is no initramfs is said to be none, and why") {
    const auto problem = [](const std::string& bytes) { return read_initramfs(bytes).problem; };
    CHECK(problem("") == "it is empty");
    CHECK(problem("usr/lib/modules/6/a.ko\n") == "no archive begins at byte 0");
    CHECK(problem("BZh91AY") == "bzip2 is not unpacked here");
    CHECK(problem("\x1f\x8b\x08") == "its gzip data end too early");
    const std::string archive = archive_of("a");
    CHECK(problem(archive.substr(0, archive.size() - 10)) == "it ends in the middle of an archive");
    CHECK(problem("0707013") == "it ends in the middle of an archive");
    CHECK(problem(std::string("070701") + std::string(104, 'z')) ==
          "there is no cpio header where one must be");
    std::string endless = archive;
    endless.replace(6 + 11 * 8, 8, "00100000");
    CHECK(problem(endless) == "a name in it has 1048576 bytes");
    for (const auto& [packing, hex] : packed) {
        CAPTURE(packing_word(packing));
        std::string damaged = *from_hex(hex);
        damaged.resize(damaged.size() / 2);
        CHECK_FALSE(problem(damaged).empty());
    }
}

TEST_CASE("an archive that is fed byte by byte gives the same listing") {
    const std::string bytes = archive_of("a") + std::string(3, '\0');
    CpioScanner scanner([](std::string_view) { return true; });
    for (const char c : bytes) {
        CHECK(scanner.feed({&c, 1}) == 1);
    }
    CHECK(scanner.at_rest());
    CHECK(scanner.listing().texts.at("a") == "abc");
}

TEST_CASE("every archive has a length that the next one can begin behind") {
    for (const char* name : {"a", "ab", "abc", "abcd"}) {
        CHECK(archive_of(name).size() % 4 == 0);
    }
}
