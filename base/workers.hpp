#pragma once

#include <functional>
#include <stop_token>
#include <vector>

namespace coldspare {

/// One worker's whole life. It must return soon after its token asks it to stop.
using Worker = std::function<void(std::stop_token)>;

/// Runs every worker in a thread of its own and blocks until all have returned. The first one that
/// throws stops the others; its exception, and no other, is rethrown here. A stop asked for through
/// `stop` reaches every worker and ends this with interrupted(), whatever they throw because of it.
void run_workers(std::stop_token stop, std::vector<Worker> workers);

} // namespace coldspare
