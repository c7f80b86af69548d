#include "cli/command.hpp"

#include <array>

namespace coldspare::cli {

namespace {

constexpr std::array<CommandEntry, 8> table{{
    {"disks", "list the disks of this machine and what uses them", "coldspare disks",
     make_disks_command},
    {"inventory", "tell what this machine is: its network cards, disks, firmware and system",
     "coldspare inventory --output mail.inventory.json", make_inventory_command},
    {"send", "serve a disk or an image as the source of a clone",
     "coldspare send --listen 10000 /dev/sda", make_send_command},
    {"receive", "write a clone to a disk or an image",
     "coldspare receive --connect 192.0.2.10:10000 /srv/standby/mail.img", make_receive_command},
    {"pair", "list or forget the machines that this one is paired with", "coldspare pair list",
     make_pair_command},
    {"verify", "read a clone back from its medium and compare it with its manifest",
     "coldspare verify /srv/standby/mail.img", make_verify_command},
    {"fixup", "make a clone bootable as a virtual machine, in an overlay",
     "coldspare fixup /srv/standby/mail.img --nic eth0=52:54:00:12:34:56", make_fixup_command},
    {"standby", "describe, define, show, list or remove the virtual machines around clones",
     "coldspare standby define mail1", make_standby_command},
}};

} // namespace

std::span<const CommandEntry> commands() {
    return table;
}

} // namespace coldspare::cli
