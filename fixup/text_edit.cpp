#include "fixup/text_edit.hpp"

#include <algorithm>

namespace coldspare::fixup {

std::vector<TextLine> text_lines(std::string_view text) {
    constexpr std::size_t most_lines = 100000;
    std::vector<TextLine> lines;
    for (std::size_t at = 0; at < text.size() && lines.size() < most_lines;) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back({static_cast<unsigned>(lines.size() + 1), {at, text.substr(at, end - at)}});
        at = end + 1;
    }
    return lines;
}

std::vector<Piece> words_in(Piece piece, std::string_view blanks) {
    std::vector<Piece> words;
    const std::string_view text = piece.text;
    for (std::size_t at = text.find_first_not_of(blanks); at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(blanks, at), text.size());
        words.push_back({piece.begin + at, text.substr(at, end - at)});
        at = text.find_first_not_of(blanks, end);
    }
    return words;
}

Piece part_of(Piece piece, std::size_t offset, std::size_t size) {
    const std::size_t from = std::min(offset, piece.text.size());
    return {piece.begin + from, piece.text.substr(from, size)};
}

std::string replaced(std::string_view text, std::vector<Replacement> replacements) {
    std::ranges::sort(replacements, {}, &Replacement::begin);
    std::string result;
    std::size_t at = 0;
    for (const Replacement& replacement : replacements) {
        result += text.substr(at, replacement.begin - at);
        result += replacement.text;
        at = replacement.begin + replacement.size;
    }
    return result.append(text.substr(std::min(at, text.size())));
}

} // namespace coldspare::fixup
