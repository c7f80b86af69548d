#include "fixup/kernel_arguments.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

std::vector<std::string> roots(ArgumentSyntax syntax, const std::string& text) {
    std::vector<std::string> values;
    for (const KernelArgument& argument : kernel_arguments(syntax, text)) {
        if (argument.name() == "root") {
            values.push_back(std::string(argument.value().text) +
                             (argument.by_default ? " first" : ""));
        }
    }
    return values;
}

using Values = std::vector<std::string>;

} // namespace

TEST_CASE("root= is found in the files of every boot loader") {
    CHECK(roots(ArgumentSyntax::grub2,
                "# linux /v root=x\n\tlinux16\t/v root=a ro\n"
                "linuxefi /v root=b\ninitrd /i root=c\n") == Values{"a first", "b"});
    CHECK(roots(ArgumentSyntax::bls, "title root=x\noptions ro root=a\r\n") == Values{"a first"});
    CHECK(roots(ArgumentSyntax::grubenv, "# GRUB\nkernelopts=root=a ro \n####") ==
          Values{"a first"});
    CHECK(roots(ArgumentSyntax::shell, "GRUB_CMDLINE_LINUX=\"root=a\"\nX=root=b\n"
                                       "DEFAULT_APPEND=' root=c'") == Values{"a", "c"});
    CHECK(roots(ArgumentSyntax::plain, "root=a ro") == Values{"a first"});
    CHECK(roots(ArgumentSyntax::grub1,
                "# kopt=root=a ro\n# groot=(hd0,0)\n#kernel /x root=x\n"
                "kernel (hd0,1)/v root=b\nkernel /v root=c\n") == Values{"a", "b first", "c"});
    CHECK(roots(ArgumentSyntax::lilo, "boot=/dev/hda\n  root=/dev/hda1\n") == Values{"/dev/hda1"});
}

TEST_CASE("the device in an argument is found") {
    const auto device = [](const std::string& text) {
        const std::vector<KernelArgument> arguments = kernel_arguments(ArgumentSyntax::plain, text);
        const std::optional<Piece> piece = device_in(arguments.at(0));
        return piece ? std::string(piece->text) : "";
    };
    CHECK(device("root=/dev/hda1") == "/dev/hda1");
    CHECK(device("resume=/dev/hda2") == "/dev/hda2");
    CHECK(device("cryptdevice=/dev/sda2:root") == "/dev/sda2");
    CHECK(device("cryptopts=target=x,source=/dev/sda2,lvm=v") == "/dev/sda2");
    CHECK(device("root=").empty());
    CHECK(device("rootflags=subvol=x").empty());
    CHECK(device("ro").empty());
}

TEST_CASE("grubenv keeps its size, or is left") {
    std::string text = "# GRUB Environment Block\nkernelopts=root=/dev/hda1 ro\n";
    const std::string full = text + std::string(1024 - text.size(), 'x');
    text.resize(1024, '#');
    const std::size_t at = text.find("/dev/hda1");
    const auto longer =
        replace_arguments(ArgumentSyntax::grubenv, text, {{at, 9, "UUID=12345678"}});
    REQUIRE(longer);
    CHECK(longer->size() == 1024);
    CHECK(longer->find("root=UUID=12345678 ro\n###") != std::string::npos);
    const auto shorter = replace_arguments(ArgumentSyntax::grubenv, text, {{at, 9, "x"}});
    REQUIRE(shorter);
    CHECK(shorter->size() == 1024);
    CHECK_FALSE(replace_arguments(ArgumentSyntax::grubenv, full, {{at, 9, "UUID=12345678"}}));
    CHECK_FALSE(replace_arguments(ArgumentSyntax::grubenv, "kernelopts=a\n", {{11, 1, "bb"}}));
}

TEST_CASE("replacements keep every other byte") {
    CHECK(replaced("a b\r\nc", {{5, 1, "see"}, {0, 1, ""}}) == " b\r\nsee");
    CHECK(replaced("", {}).empty());
    CHECK(replaced("x", {{1, 0, "y"}}) == "xy");
}
