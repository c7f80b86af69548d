// Any bytes as lvm.conf and as LVM's devices file: rewriting them twice is rewriting them once.
#include "fixup/lvm_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace coldspare::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string once = with_vm_disks(text, 2);
    if (with_vm_disks(once, 2) != once) {
        std::abort();
    }
    const std::vector<GuestVolume> volumes{
        {.device = "a", .disk = 0, .partition = 2, .format = "LVM2_member", .uuid = "A-b"}};
    const DevicesRewrite devices = rewrite_devices_file(text, volumes);
    if (rewrite_devices_file(devices.after, volumes).after != devices.after) {
        std::abort();
    }
    return 0;
}
