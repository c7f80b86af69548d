#pragma once

#include "standby/hypervisor.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace coldspare::standby {

/// A hypervisor that is a map: for tests of what is built on one. It passes
/// check_hypervisor_conformance(). Tests may look at and change everything.
class MemoryHypervisor : public Hypervisor {
public:
    struct Domain {
        std::string xml;
        DomainInfo info;
        std::optional<std::string> picture;
        std::map<std::string, std::string> agent; ///< answers, by command; none: no agent
    };

    HypervisorInfo about{.uri = "memory:///",
                         .host = "memory",
                         .version = "libvirt 0.0.0, QEMU 0.0.0",
                         .cpus = 2,
                         .memory = std::uint64_t{8} << 30,
                         .free_memory = std::uint64_t{4} << 30,
                         .firmware_code = "/firmware/CODE.fd",
                         .firmware_variables = "/firmware/VARS.fd"};
    std::map<std::string, Domain> all;
    std::map<std::string, std::string> nets; ///< XML by name
    /// What was done that changes something, in order: "define mail1", "start mail1".
    std::vector<std::string> log;

    HypervisorInfo info() override { return about; }
    std::vector<DomainInfo> domains() override;
    std::optional<DomainInfo> find(const std::string& domain) override;
    std::string xml_of(const std::string& domain) override;
    void define(const std::string& xml) override;
    void undefine(const std::string& domain) override;
    void set_metadata(const std::string& domain, const std::string& element,
                      const std::string& name_space) override;
    void start(const std::string& domain) override;
    void start_transient(const std::string& xml) override;
    void shut_down(const std::string& domain) override;
    void destroy(const std::string& domain) override;
    std::optional<std::string> screenshot(const std::string& domain) override;
    std::string ask_agent(const std::string& domain, const std::string& command,
                          int seconds) override;
    std::vector<std::string> networks() override;
    void create_network(const std::string& xml) override;
    void remove_network(const std::string& network) override;
    std::string network_xml(const std::string& network) override;

private:
    Domain& need(const std::string& domain);
    Domain& add(const std::string& xml);
};

} // namespace coldspare::standby
