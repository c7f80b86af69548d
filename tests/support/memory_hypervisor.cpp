#include "tests/support/memory_hypervisor.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

namespace coldspare::standby {

namespace {

/// The text of the first element `name` of a definition; these are written by us, or by a test.
std::string element(const std::string& xml, const std::string& name) {
    const std::string open = "<" + name + ">";
    const std::size_t begin = xml.find(open);
    const std::size_t end = xml.find("</" + name + ">");
    if (begin == std::string::npos || end == std::string::npos) {
        throw Error(fmt::format("XML error: there is no <{}>", name));
    }
    return xml.substr(begin + open.size(), end - begin - open.size());
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

MemoryHypervisor::Domain& MemoryHypervisor::need(const std::string& domain) {
    const auto found = all.find(domain);
    if (found == all.end()) {
        throw Error(fmt::format("there is no domain '{}'", domain));
    }
    return found->second;
}

MemoryHypervisor::Domain& MemoryHypervisor::add(const std::string& xml) {
    const std::string name = element(xml, "name");
    const std::string uuid = element(xml, "uuid");
    const auto found = all.find(name);
    if (found != all.end() && found->second.info.uuid != uuid) {
        throw Error(
            fmt::format("domain '{}' already exists with uuid {}", name, found->second.info.uuid));
    }
    Domain& domain = all[name];
    domain.xml = xml;
    if (has(xml, "<video>")) {
        domain.picture = "P6\n1 1\n255\nabc";
    } else {
        domain.picture.reset();
    }
    domain.info.name = name;
    domain.info.uuid = uuid;
    return domain;
}

std::vector<DomainInfo> MemoryHypervisor::domains() {
    std::vector<DomainInfo> result;
    for (const auto& [name, domain] : all) {
        result.push_back(domain.info);
    }
    return result;
}

std::optional<DomainInfo> MemoryHypervisor::find(const std::string& domain) {
    const auto found = all.find(domain);
    return found == all.end() ? std::nullopt : std::optional(found->second.info);
}

std::string MemoryHypervisor::xml_of(const std::string& domain) {
    return need(domain).xml;
}

void MemoryHypervisor::define(const std::string& xml) {
    Domain& domain = add(xml);
    domain.info.persistent = true;
    domain.info.autostart = false;
    if (domain.info.state == DomainState::other) {
        domain.info.state = DomainState::shut_off;
    }
    log.push_back("define " + domain.info.name);
}

void MemoryHypervisor::undefine(const std::string& domain) {
    if (need(domain).info.state == DomainState::running) {
        throw refusal(fmt::format("remove the domain '{}': it runs", domain), "shut it down first");
    }
    all.erase(domain);
    log.push_back("undefine " + domain);
}

void MemoryHypervisor::set_metadata(const std::string& domain, const std::string& given,
                                    const std::string& name_space) {
    Domain& it = need(domain);
    // Only one element of metadata is known here.
    const std::string before = "<metadata>" + element(it.xml, "metadata") + "</metadata>";
    const std::size_t name_end = given.find_first_of(" />");
    std::string marked = given;
    marked.insert(name_end, fmt::format(" xmlns='{}'", name_space));
    it.xml.replace(it.xml.find(before), before.size(), "<metadata>" + marked + "</metadata>");
    log.push_back("mark " + domain);
}

void MemoryHypervisor::start(const std::string& domain) {
    Domain& it = need(domain);
    if (it.info.state == DomainState::running) {
        throw Error(fmt::format("domain '{}' is already running", domain));
    }
    it.info.state = DomainState::running;
    log.push_back("start " + domain);
}

void MemoryHypervisor::start_transient(const std::string& xml) {
    const std::string name = element(xml, "name");
    if (all.contains(name)) {
        throw Error(fmt::format("domain '{}' is already active", name));
    }
    add(xml).info.state = DomainState::running;
    log.push_back("start transient " + name);
}

void MemoryHypervisor::shut_down(const std::string& domain) {
    if (need(domain).info.state != DomainState::running) {
        throw Error(fmt::format("domain '{}' is not running", domain));
    }
    log.push_back("shut down " + domain);
}

void MemoryHypervisor::destroy(const std::string& domain) {
    Domain& it = need(domain);
    if (it.info.state == DomainState::shut_off) {
        return;
    }
    log.push_back("destroy " + domain);
    it.info.state = DomainState::shut_off;
    if (!it.info.persistent) {
        all.erase(domain);
    }
}

std::optional<std::string> MemoryHypervisor::screenshot(const std::string& domain) {
    return need(domain).picture;
}

std::string MemoryHypervisor::ask_agent(const std::string& domain, const std::string& command,
                                        int seconds) {
    const Domain& it = need(domain);
    const auto found = it.agent.find(command);
    if (it.info.state != DomainState::running || found == it.agent.end()) {
        throw Error(fmt::format("the guest agent of '{}' is silent for {} s", domain, seconds));
    }
    return found->second;
}

std::vector<std::string> MemoryHypervisor::networks() {
    std::vector<std::string> names;
    for (const auto& [name, xml] : nets) {
        names.push_back(name);
    }
    return names;
}

void MemoryHypervisor::create_network(const std::string& xml) {
    const std::string name = element(xml, "name");
    if (!nets.emplace(name, xml).second) {
        throw Error(fmt::format("there is a network '{}' already", name));
    }
    log.push_back("create network " + name);
}

void MemoryHypervisor::remove_network(const std::string& network) {
    if (nets.erase(network) != 0) {
        log.push_back("remove network " + network);
    }
}

std::string MemoryHypervisor::network_xml(const std::string& network) {
    const auto found = nets.find(network);
    if (found == nets.end()) {
        throw Error(fmt::format("there is no network '{}'", network));
    }
    return found->second;
}

} // namespace coldspare::standby
