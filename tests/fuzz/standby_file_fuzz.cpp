// Any bytes as a standby's file: it is understood or refused with complaints, and what was
// understood keeps what the header promises. And any bytes as an inventory: the file that is
// written from it is always understood.
#include "base/error.hpp"
#include "base/inventory.hpp"
#include "standby/standby_file.hpp"
#include "standby/standby_init.hpp"
#include "standby/standby_rules.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

using namespace coldspare;
using namespace coldspare::standby;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check(const StandbyFile& standby) {
    const MachineSettings& machine = standby.machine;
    require(!standby.source.host.empty());
    require(standby.source.connect.empty() != standby.source.listen.empty());
    require(complaint_about_libvirt_name(machine.domain).empty());
    require(machine.cpus > 0 && machine.memory >= least_memory && standby.keep > 0);
    require(!machine.disks.empty() && machine.nics.size() <= most_nics);
    std::set<std::string> images;
    for (const DiskSettings& disk : machine.disks) {
        require(!disk.source.empty() && complaint_about_path(disk.image).empty());
        require(images.insert(disk.image).second);
    }
    std::set<std::string> macs;
    for (const NicSettings& nic : machine.nics) {
        require(!nic.name.empty() && normal_mac(nic.mac) == nic.mac);
        require(macs.insert(nic.mac).second);
        require((nic.way == NicWay::network || nic.way == NicWay::bridge) != nic.network.empty());
    }
    for (const VolumeSettings& volume : standby.volumes) {
        require(complaint_about_path(volume.path).empty());
        require(!volume.uuid.empty() || !volume.wwid.empty());
        require(volume.target.empty() == volume.portal.empty());
    }
}

void write_from(std::string_view text) {
    Inventory server;
    try {
        server = parse_inventory(text);
    } catch (const Error&) {
        return;
    }
    check(parse_standby_file("fuzz.toml", standby_text(server, {.name = "fuzz"})));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        check(parse_standby_file("fuzz.toml", text));
    } catch (const Error& error) {
        require(error.status() == ExitStatus::usage && !error.message().empty());
    }
    write_from(text);
    return 0;
}
