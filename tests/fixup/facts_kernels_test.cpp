#include "fixup/facts_kernels.hpp"

#include "fixup/apply.hpp"
#include "tests/support/initramfs_programs.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

void put_kernel(MemoryGuest& guest, const std::string& version, const std::string& initrd) {
    guest.put("/boot/vmlinuz-" + version, "");
    guest.put("/lib/modules/" + version + "/modules.dep", "kernel/a-b.ko:\n");
    guest.put(initrd, merged_image(guest, version, {"a_b"}));
}

} // namespace

TEST_CASE("kernels are found in the layout of every family") {
    for (const char* initrd : {"/boot/initrd.img-5.1", "/boot/initramfs-5.1.img",
                               "/boot/initrd-5.1", "/boot/initrd-5.1.img"}) {
        CAPTURE(initrd);
        MemoryGuest guest;
        put_kernel(guest, "5.1", initrd);
        const KernelList list = gather_kernels(guest, true);
        REQUIRE(list.kernels.size() == 1);
        CHECK(list.kernels[0].initrd == initrd);
        CHECK(list.kernels[0].in_initrd == std::set<std::string>{"a_b"});
        CHECK(guest.lines.empty());
    }
    MemoryGuest guest;
    guest.put("/etc/machine-id", "0123abcd\n");
    guest.put("/boot/0123abcd/6.8/linux", "");
    guest.put("/boot/0123abcd/6.8/initrd", "text");
    guest.put_directory("/lib/modules/6.8");
    const KernelList list = gather_kernels(guest, false);
    REQUIRE(list.kernels.size() == 1);
    CHECK(list.kernels[0].initrd == "/boot/0123abcd/6.8/initrd");
    CHECK(list.kernels[0].unreadable == "no archive begins at byte 0");
}

TEST_CASE("the kernel that starts by default stands first, and rescue images stand apart") {
    MemoryGuest guest;
    put_kernel(guest, "5.9", "/boot/initrd-5.9");
    put_kernel(guest, "5.10", "/boot/initrd-5.10");
    guest.put("/boot/vmlinuz-0-rescue-1", "");
    guest.put("/boot/initramfs-0-rescue-1.img", "");
    guest.put("/boot/initrd-5.10-kdump", "");
    CHECK(gather_kernels(guest, true).kernels[0].version == "5.10");
    guest.put("/boot/grub/menu.lst", "default 0\ntitle a\nkernel /vmlinuz-5.9\n");
    const KernelList list = gather_kernels(guest, true);
    REQUIRE(list.kernels.size() == 2);
    CHECK(list.kernels[0].version == "5.9");
    CHECK(list.rescue ==
          std::vector<std::string>{"/boot/initramfs-0-rescue-1.img", "/boot/initrd-5.10-kdump"});
}

TEST_CASE("lists of modules are read as every time wrote them") {
    const auto modules = parse_modules_dep("/lib/modules/2.6/kernel/x-y.ko: "
                                           "/lib/modules/2.6/kernel/z.ko\nkernel/z.ko.xz:\n",
                                           "2.6");
    REQUIRE(modules.size() == 2);
    CHECK(modules.at("x_y") == KernelModule{"kernel/x-y.ko", {"z"}});
    CHECK(modules.at("z").path == "kernel/z.ko.xz");
    CHECK(builtin_by_config("CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\n# CONFIG_E1000=y\n") ==
          std::set<std::string>{"virtio_pci"});
    KernelFacts kernel{.modules = {{"a", {"a.ko", {"b"}}}, {"b", {"b.ko", {"a", "gone"}}}}};
    CHECK(with_dependencies(kernel, {"a"}) == std::set<std::string>{"a", "b"});
}

TEST_CASE("bytes are appended only to the file that the plan saw") {
    MemoryGuest guest;
    guest.put("/boot/initrd", "1234");
    Plan plan{.fixes = {{.id = "x",
                         .outcome = Outcome::planned,
                         .edits = {{.path = "/boot/initrd",
                                    .after = "56",
                                    .kind = EditKind::append,
                                    .before_size = 4}}}}};
    const NoteCallback quiet = [](std::string_view) {};
    apply_plan(guest, plan, quiet);
    CHECK(guest.nodes.at("/boot/initrd").content == "123456");
    CHECK_THROWS_WITH(apply_plan(guest, plan, quiet),
                      "'/boot/initrd' inside the copy has 6 bytes, and 4 were expected");
}

TEST_CASE("a command of an older kernel may say no, and that is told") {
    MemoryGuest guest;
    guest.shell = [](MemoryGuest&, const std::string&) { return CommandOutput{1, "no\n"}; };
    const Plan plan{.fixes = {{.id = "x",
                               .outcome = Outcome::planned,
                               .commands = {{.line = "mkinitrd", .need = Need::best_effort}}}}};
    const auto records = apply_plan(guest, plan, [](std::string_view) {});
    REQUIRE(records.size() == 1);
    CHECK(records[0].failure == "'mkinitrd' inside the copy ended with status 1: no");
}
