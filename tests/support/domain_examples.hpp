#pragma once

#include "standby/domain_xml.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace coldspare::standby {

/// The standby "mail01": two image files, one card in libvirt's network "lan".
[[nodiscard]] StandbyFile mail01();

/// What fixup says of a Debian 12 with virtio.
[[nodiscard]] fixup::VmRequirements modern_needs();

/// Its domain with KVM; `standby` has to outlive it.
[[nodiscard]] DomainInput input_of(const StandbyFile& standby);

[[nodiscard]] DrillInput drill_of(const DomainInput& input);

/// A machine of tests/standby/domains: NAME.xml, and NAME.drill.xml if `with_drill`.
struct DomainExample {
    std::string name;
    StandbyFile standby;
    fixup::VmRequirements needs;
    bool kvm = false;
    bool with_drill = false;

    [[nodiscard]] DomainInput input() const;
};

[[nodiscard]] std::vector<DomainExample> domain_examples();

/// Numbers that are the same on every machine, from a seed.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    /// 0 to `limit` - 1.
    [[nodiscard]] std::size_t below(std::size_t limit);

private:
    std::uint64_t state_;
};

/// Any standby that its reader would take, with names that XML has to escape.
[[nodiscard]] DomainExample random_example(Dice& dice);

} // namespace coldspare::standby
