#include "standby/hypervisor.hpp"

namespace coldspare::standby {

std::string_view word(DomainState state) {
    switch (state) {
    case DomainState::running:
        return "running";
    case DomainState::paused:
        return "paused";
    case DomainState::shut_off:
        return "shut off";
    case DomainState::crashed:
        return "crashed";
    case DomainState::other:
        break;
    }
    return "in between";
}

} // namespace coldspare::standby
