#include "fixup/default_kernel.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

constexpr const char* debian = R"(
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="CHOICE"
fi
function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  fi
}
menuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	echo	'Loading Linux'
	linux	/boot/vmlinuz-6.1.0-18-amd64 root=UUID=1 ro
	initrd	/boot/initrd.img-6.1.0-18-amd64
}
submenu 'Advanced options for Debian' $menuentry_id_option 'gnulinux-advanced-1' {
	menuentry 'Debian, with Linux 6.1.0-18' $menuentry_id_option 'gnulinux-6.1.0-18' {
		linux	/boot/vmlinuz-6.1.0-18-amd64 root=UUID=1 ro
	}
	menuentry 'Debian, with Linux 6.1.0-9' $menuentry_id_option 'gnulinux-6.1.0-9' {
		linux16	/boot/vmlinuz-6.1.0-9-amd64 root=UUID=1 ro
	}
}
menuentry "System setup" --id setup {
	fwsetup
}
)";

std::string chosen(const std::string& choice, const std::string& environment = "") {
    std::string config = debian;
    config.replace(config.find("CHOICE"), 6, choice);
    return default_kernel({.grub_config = config, .grub_environment = environment});
}

} // namespace

TEST_CASE("GRUB 2 names its default by number, title or id, and through submenus") {
    CHECK(chosen("0") == "6.1.0-18-amd64");
    CHECK(chosen("1>1") == "6.1.0-9-amd64");
    CHECK(chosen("1") == "6.1.0-18-amd64");
    CHECK(chosen("gnulinux-advanced-1>gnulinux-6.1.0-9") == "6.1.0-9-amd64");
    CHECK(chosen("Advanced options for Debian>Debian, with Linux 6.1.0-9") == "6.1.0-9-amd64");
    CHECK(chosen("gnulinux-6.1.0-9") == "6.1.0-9-amd64");
    CHECK(chosen("${saved_entry}", "# GRUB\nsaved_entry=1>1\n####") == "6.1.0-9-amd64");
    CHECK(chosen("${saved_entry}") == "6.1.0-18-amd64");
    CHECK(chosen("setup").empty());
    CHECK(chosen("7").empty());
    CHECK(default_kernel({}).empty());
}

TEST_CASE("entries of the boot loader specification are chosen by their saved name, else by age") {
    BootMenu menu{
        .grub_config = "blscfg\n",
        .entries = {{"m-5.14.0-70.el9.x86_64", "title A\nversion 5.14.0-70.el9.x86_64\n"
                                               "linux /vmlinuz-5.14.0-70.el9.x86_64\n"},
                    {"m-5.14.0-362.el9.x86_64", "title B\nlinux\t/vmlinuz-5.14.0-362.el9.x86_64\n"},
                    {"m-0-rescue", "linux /vmlinuz-0-rescue-m\n"}}};
    CHECK(default_kernel(menu) == "5.14.0-362.el9.x86_64");
    menu.grub_environment = "saved_entry=m-5.14.0-70.el9.x86_64\n";
    CHECK(default_kernel(menu) == "5.14.0-70.el9.x86_64");
}

TEST_CASE("GRUB legacy counts titles, and may have saved a number") {
    BootMenu menu{.legacy_menu =
                      "# comment\ndefault=1\ntimeout 5\n"
                      "title A\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.18-8.el5 ro\n"
                      "title B\n\tkernel --no-mem-option /boot/vmlinuz-2.6.18-398.el5 ro\n"
                      "title Memtest\n\tkernel /memtest\n"};
    CHECK(default_kernel(menu) == "2.6.18-398.el5");
    menu.legacy_menu.replace(menu.legacy_menu.find("=1"), 2, "\tsaved");
    CHECK(default_kernel(menu) == "2.6.18-8.el5");
    menu.legacy_saved = "1\n#\n#\n";
    CHECK(default_kernel(menu) == "2.6.18-398.el5");
    menu.legacy_saved = "2\n";
    CHECK(default_kernel(menu).empty());
}

TEST_CASE("a kernel's version is in its path") {
    CHECK(kernel_version_in("/boot/vmlinuz-6.1") == "6.1");
    CHECK(kernel_version_in("(hd0,1)/vmlinuz-6.1") == "6.1");
    CHECK(kernel_version_in("/0123abcd/6.8.1/linux") == "6.8.1");
    CHECK(kernel_version_in("/boot/Image-5.3.18") == "5.3.18");
    CHECK(kernel_version_in("/vmlinuz").empty());
    CHECK(kernel_version_in("linux").empty());
}
