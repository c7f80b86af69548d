// Any bytes as fstab and crypttab: the second rewrite finds nothing more to do.
#include "fixup/disk_tables.hpp"
#include "fixup/old_names.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const GuestSystem system{
        .tables = {"msdos"},
        .volumes = {{.device = "a",
                     .disk = 0,
                     .partition = 1,
                     .format = "ext4",
                     .uuid = "1",
                     .mount_point = "/"},
                    {.device = "b", .disk = 0, .partition = 2, .format = "swap", .uuid = "2"}}};
    const DeviceNames names(system, {}, "/dev/hda1");
    const TableRewrite fstab = rewrite_fstab(text, text, names, system);
    if (rewrite_fstab(fstab.after, text, names, system).after != fstab.after) {
        std::abort();
    }
    const TableRewrite crypttab =
        rewrite_crypttab(text, "/dev/mapper/root", names, system, InitramfsOption::add);
    if (rewrite_crypttab(crypttab.after, "/dev/mapper/root", names, system, InitramfsOption::add)
            .after != crypttab.after) {
        std::abort();
    }
    return 0;
}
