#pragma once

#include "standby/domain_xml.hpp"
#include "standby/xml.hpp"

#include <optional>
#include <string>
#include <vector>

/// The parts of domain_xml(), for its own files. A null `drill` is the standby at rest.
namespace coldspare::standby::domain {

/// The bus of the disks, and the machine that has one: IDE is not in q35.
[[nodiscard]] std::string bus_of(const DomainInput& input);
[[nodiscard]] std::string machine_of(const DomainInput& input);
[[nodiscard]] bool is_x86(const DomainInput& input);

/// Slots of the root bus, 0 to 31: 0, 1 and 31 are the chipset's.
inline constexpr unsigned slot_of_display = 2;
inline constexpr unsigned slot_of_channels = 3;
inline constexpr unsigned slot_of_random = 4;
inline constexpr unsigned first_slot_of_nics = 5;
inline constexpr unsigned first_slot_of_disks = 16;
inline constexpr unsigned end_of_slots = 31;

[[nodiscard]] XmlElement slot_element(unsigned slot);

/// The disks and the controllers that they hang on. What no slot is left for goes where libvirt
/// puts it.
[[nodiscard]] std::vector<XmlElement> disk_elements(const DomainInput& input,
                                                    const DrillInput* drill);

/// The cards, unless qemu_arguments() makes them.
[[nodiscard]] std::vector<XmlElement> nic_elements(const DomainInput& input,
                                                   const DrillInput* drill);

/// What a drill tells qemu past libvirt: the system UUID, and cards in a restricted network.
[[nodiscard]] std::vector<std::string> qemu_arguments(const DomainInput& input,
                                                      const DrillInput& drill);

} // namespace coldspare::standby::domain
