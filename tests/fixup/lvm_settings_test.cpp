#include "fixup/lvm_settings.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

bool passes(std::vector<std::string> patterns, const char* device) {
    return lets_through({.patterns = std::move(patterns)}, device);
}

const std::vector<GuestVolume> copy{
    {.device = "a", .disk = 0, .partition = 2, .format = "LVM2_member", .uuid = "Ab-C"}};

} // namespace

TEST_CASE("the first pattern of a filter that matches decides") {
    CHECK(passes({}, "/dev/vda2"));
    CHECK_FALSE(passes({"a|/dev/cciss/.*|", "r|.*|"}, "/dev/vda2"));
    CHECK(passes({"a|^/dev/[sv]d[a-z]|", "r|.*|"}, "/dev/vda2"));
    CHECK(passes({"a/sda[0-9]*$/", "r/.*/"}, "/dev/sda2"));
    CHECK_FALSE(passes({"a/sda$/", "r/.*/"}, "/dev/sda2"));
    CHECK(passes({"r|^/dev/sd[^a]|"}, "/dev/sda2"));
    CHECK_FALSE(passes({"r|(sda|vda)|"}, "/dev/xyz")); // not understood: it may be meant
    CHECK_FALSE(passes({"a|(sda|vda)|", "r|.*|"}, "/dev/vda"));
    CHECK(passes({"r", "", "rx"}, "/dev/vda"));
    CHECK_FALSE(passes({"r|[|"}, "/dev/vda"));
}

TEST_CASE(
    "a filter that hides the VM's disks lets them through first, and no volume that comes later") {
    const std::string text =
        "devices {\n  # filter = [ \"r|.*|\" ]\n  global_filter=[\"r|/dev/sd|\"]\n"
        "  filter = [ \"a|/dev/mapper/mpath|\",\n \"r|.*|\" ]\n}\n";
    const std::string ours =
        R"("a|^/dev/vd[a-z]|", "a|^/dev/sd[a-a]$|", "a|^/dev/sd[a-a][0-9]|", )";
    const std::string after = with_vm_disks(text, 1);
    CHECK(after == "devices {\n  # filter = [ \"r|.*|\" ]\n"
                   "  global_filter=[" +
                       ours +
                       "\"r|/dev/sd|\"]\n"
                       "  filter = [ " +
                       ours + "\"a|/dev/mapper/mpath|\",\n \"r|.*|\" ]\n}\n");
    CHECK(passes({"a|^/dev/sd[a-a]$|", "a|^/dev/sd[a-a][0-9]|", "r|.*|"}, "/dev/sda2"));
    CHECK_FALSE(passes({"a|^/dev/sd[a-a]$|", "a|^/dev/sd[a-a][0-9]|", "r|.*|"}, "/dev/sdb"));
    CHECK(with_vm_disks(after, 1) == after);
    for (const char* fine :
         {"devices { filter = [ \"a/.*/\" ] }", "devices/filter=[]", "filter", "",
          "filter = [ \"a|lvm-pv-uuid|\", \"r|.*|\" ]", "myfilter=[\"r/.*/\"]"}) {
        CAPTURE(fine);
        CHECK(with_vm_disks(fine, 1) == fine);
    }
}

TEST_CASE("the devices file goes if the copy has all that it lists") {
    const std::string line = "IDTYPE=sys_wwid IDNAME=naa.1 DEVNAME=/dev/sda2 PVID=AbC PART=2\n";
    CHECK(rewrite_devices_file("# x\nVERSION=1.1.1\n" + line, copy).what == DevicesFile::remove);
    CHECK(rewrite_devices_file(line, {}).what == DevicesFile::keep);
    CHECK(rewrite_devices_file("", copy).what == DevicesFile::keep);
    CHECK(rewrite_devices_file(line, copy, Elsewhere::volumes_to_come).what ==
          DevicesFile::rewrite);
    CHECK(rewrite_devices_file("IDTYPE=crypt_uuid IDNAME=x PVID=AbC\n", copy).after ==
          "IDTYPE=crypt_uuid IDNAME=x PVID=AbC\n");
    const DevicesRewrite both = rewrite_devices_file(
        line + "IDTYPE=sys_wwid IDNAME=naa.2 DEVNAME=/dev/sdb PVID=San\n", copy);
    CHECK(both.what == DevicesFile::rewrite);
    CHECK(both.elsewhere == 1);
    CHECK(both.after == "IDTYPE=devname IDNAME=/dev/vda2 DEVNAME=/dev/vda2 PVID=AbC PART=2\n"
                        "IDTYPE=sys_wwid IDNAME=naa.2 DEVNAME=/dev/sdb PVID=San\n");
    CHECK(rewrite_devices_file(both.after, copy).after == both.after);
}
