#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Configuration files in TOML 1.0, read so that one run names everything that is wrong with a
/// file: each with its line, and with the nearest valid word where one was misspelt.
///
/// A reader asks a table for the keys that it knows. What is missing or cannot be becomes a
/// complaint, and the reader goes on with a default. ConfigFile::finish() complains of the keys
/// that nobody asked for, and throws if there is any complaint.
namespace coldspare {

inline constexpr std::size_t largest_config = std::size_t{1} << 20; ///< bytes

struct ConfigNode;
class ConfigFile;

/// Whether a key may be left out.
enum class Need { optional, required };

/// A table of a file, or one that is not there: then every optional key is absent, and no required
/// one is missed. It belongs to its ConfigFile, which must outlive it.
class ConfigTable {
public:
    [[nodiscard]] bool is_there() const { return node_ != nullptr; }
    /// The line that it begins in, from 1; 0 if it is not there.
    [[nodiscard]] unsigned line() const;
    /// The line of a key of it, or its own.
    [[nodiscard]] unsigned line_of(std::string_view key) const;
    [[nodiscard]] bool has(std::string_view key) const;

    /// A text that is not empty and has no control characters.
    [[nodiscard]] std::optional<std::string> text(std::string_view key, Need need = Need::optional);
    /// One of `words`.
    [[nodiscard]] std::optional<std::string> word(std::string_view key,
                                                  const std::vector<std::string_view>& words,
                                                  Need need = Need::optional);
    /// A whole number from `least` to `most`.
    [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key, std::uint64_t least,
                                                      std::uint64_t most,
                                                      Need need = Need::optional);
    /// Bytes: "4GiB", "512MiB", or a number.
    [[nodiscard]] std::optional<std::uint64_t> size(std::string_view key, std::uint64_t least,
                                                    std::uint64_t most, Need need = Need::optional);
    /// Seconds: "90s", "15m", "2h", "35d".
    [[nodiscard]] std::optional<std::uint64_t> duration(std::string_view key,
                                                        Need need = Need::optional);
    [[nodiscard]] std::optional<bool> flag(std::string_view key);
    /// Texts as text() takes them; one text alone is a list of one.
    [[nodiscard]] std::vector<std::string> texts(std::string_view key);

    /// A table that may be absent.
    [[nodiscard]] ConfigTable table(std::string_view key);
    /// The tables of [[key]].
    [[nodiscard]] std::vector<ConfigTable> tables(std::string_view key);

    /// Adds a complaint about the value of a key of this table.
    void complain(std::string_view key, std::string text) const;

private:
    friend class ConfigFile;
    ConfigTable(ConfigFile& file, ConfigNode* node, std::string name)
        : file_(&file), node_(node), name_(std::move(name)) {}
    [[nodiscard]] const ConfigNode* peek(std::string_view key) const;
    ConfigNode* ask(std::string_view key, Need need);
    std::optional<std::string> text_in(const ConfigNode& node, std::string_view key);
    std::optional<std::uint64_t> in_range(std::string_view key, std::optional<std::uint64_t> value,
                                          std::uint64_t least, std::uint64_t most,
                                          const std::function<std::string(std::uint64_t)>& shown);
    [[nodiscard]] std::string full(std::string_view key) const;

    ConfigFile* file_;
    ConfigNode* node_;
    std::string name_; ///< "target", "nic"; empty: the file itself
};

class ConfigFile {
public:
    /// Parses. `name` is what complaints call the file. Throws Error (usage) that names the line if
    /// it is no TOML, is larger than `largest_config` or nested too deep.
    ConfigFile(std::string name, std::string_view text);
    ~ConfigFile();
    ConfigFile(const ConfigFile&) = delete;
    ConfigFile& operator=(const ConfigFile&) = delete;

    [[nodiscard]] ConfigTable root();
    void complain(unsigned line, std::string text);
    /// Throws Error (usage) with every complaint on a line of its own, in the order of the file, as
    /// "NAME:LINE: what is wrong". A key that no reader has asked for is one.
    void finish();

private:
    friend class ConfigTable;
    struct Complaint {
        unsigned line = 0;
        std::string text;
    };
    std::string name_;
    std::unique_ptr<ConfigNode> root_;
    std::vector<Complaint> complaints_;
    std::map<std::string, std::set<std::string>> known_; ///< keys that readers know, by table
};

/// Reads the file and parses it. Throws Error.
[[nodiscard]] std::unique_ptr<ConfigFile> open_config(const std::filesystem::path& path);

} // namespace coldspare
