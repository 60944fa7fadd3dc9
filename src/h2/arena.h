// Octets that live until the end of a receive call: decoded strings, reassembled frames. Reset, never freed piecemeal.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace ringway::h2 {

class Arena {
 public:
  char* allocate(size_t size) {
    if (static_cast<size_t>(end_ - next_) < size) [[unlikely]]
      add_chunk(size);
    char* result = next_;
    next_ += size;
    return result;
  }

  // Gives back the unused end of the latest allocation.
  void shrink_to(char* end) noexcept { next_ = end; }

  void reset() noexcept {
    if (chunks_.empty()) return;
    // The first chunk serves nearly every call; what one large call needed beyond it is not kept.
    if (chunks_.size() > 1) chunks_.resize(1);
    next_ = chunks_.front().octets.get();
    end_ = next_ + chunks_.front().size;
  }

 private:
  static constexpr size_t kChunkSize = 64 * 1024;

  struct Chunk {
    std::unique_ptr<char[]> octets;
    size_t size;
  };

  void add_chunk(size_t size) {
    const size_t chunk_size = size > kChunkSize ? size : kChunkSize;
    chunks_.push_back({std::make_unique_for_overwrite<char[]>(chunk_size), chunk_size});
    next_ = chunks_.back().octets.get();
    end_ = next_ + chunk_size;
  }

  std::vector<Chunk> chunks_;
  // Never null: an allocation of nothing is an address too, as copying nothing from and to it needs.
  static inline char nothing_[1];
  char* next_ = nothing_;
  char* end_ = nothing_;
};

}  // namespace ringway::h2
