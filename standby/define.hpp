#pragma once

#include "standby/domain_xml.hpp"
#include "standby/hypervisor.hpp"
#include "standby/standby_copy.hpp"
#include "standby/standby_file.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// `coldspare standby`: from a standby's file and its copy to a machine of libvirt, and back to
/// what is there.
namespace coldspare::standby {

/// Where an administrator puts standby/guard, so that libvirtd refuses to start what is cold.
inline constexpr std::string_view guard_path = "/etc/libvirt/hooks/qemu.d/coldspare";

/// What this program is and where it keeps things.
struct DefineContext {
    std::filesystem::path state_directory;
    std::string version;
    bool guarded = false; ///< whether a file stands at guard_path
};

/// The machine as it would be defined. `input` refers to the standby's file.
struct DefinePlan {
    DomainInput input;
    std::vector<std::string> warnings;
};

/// Decides; pure. Throws Error: refused if this hypervisor cannot have it (no UEFI, no KVM where
/// the file insists, networks that are not there).
[[nodiscard]] DefinePlan plan_define(const StandbyFile& standby, const StandbyCopy& copy,
                                     const HypervisorInfo& info,
                                     const std::vector<std::string>& networks,
                                     const DefineContext& context);

enum class DefineMode {
    look, ///< say what would be done
    act,
};
enum class DefineChange { made, changed, none };

struct DefineOutcome {
    DefineChange change = DefineChange::none;
    std::string xml;                      ///< as it was asked for
    std::vector<std::string> differences; ///< what was other before
    std::vector<std::string> warnings;
};

/// Defines the machine, or changes it in place, and reads back what came of it. What is as it
/// should be is not touched. Throws Error: refused if a domain of that name is none of ours or
/// another standby's, runs, or is in service.
DefineOutcome define_standby(Hypervisor& hypervisor, const StandbyFile& standby,
                             const StandbyCopy& copy, const DefineContext& context,
                             DefineMode mode);

/// What is there of a standby.
struct StandbyView {
    std::optional<StandbyCopy> copy;
    std::optional<DomainInfo> domain;
    std::optional<DomainMark> mark; ///< of the domain, if it is any standby's
    /// What of the definition is not as the file wants it. Empty also if it cannot be compared.
    std::vector<std::string> differences;
    std::vector<std::string> problems; ///< why something is not known, or not right
};

/// Looks at everything; what fails is a problem in the view.
[[nodiscard]] StandbyView view_standby(Hypervisor& hypervisor, const StandbyFile& standby,
                                       const DefineContext& context);

/// Removes the machine's definition; the copy, and the firmware's variables, stay. Returns whether
/// there was one. Throws Error as define_standby() does.
bool remove_standby(Hypervisor& hypervisor, const StandbyFile& standby);

} // namespace coldspare::standby
