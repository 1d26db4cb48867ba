// Memory for weights and feature maps, in pages of 2 MiB where the kernel has them.
//
// The place of small pages in memory makes some sessions of a network permanently faster than
// others, see `runner/huge_pages.py`. The linker gives ncnn these functions instead of the C
// library's (`--wrap`), which would ask the kernel for each block by itself.

#pragma once

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>

// Blocks of memory, each of a size class with eight steps an octave. A freed block serves the next
// request of its class. When all are free, the arena starts afresh: the next networks have blocks of
// other sizes.
class Arena {
 public:
  static constexpr size_t kAlignment = 64;

  // Returns null without memory.
  void* take(size_t size) {
    const std::lock_guard lock(mutex_);
    const size_t number = class_of(size + kAlignment);
    Block*& free = free_[number];
    Block* block = free;
    if (block) free = block->next;
    else block = carve(size_of(number));
    if (!block) return nullptr;
    block->number = number;
    live_++;
    return reinterpret_cast<char*>(block) + kAlignment;
  }

  // Returns false for memory that is not of the arena.
  bool give(void* memory) {
    const std::lock_guard lock(mutex_);
    if (!owns(memory)) return false;
    Block* block = reinterpret_cast<Block*>(static_cast<char*>(memory) - kAlignment);
    block->next = free_[block->number];
    free_[block->number] = block;
    if (--live_ == 0) {
      free_.fill(nullptr);
      chunk_ = 0;
      next_ = chunks_[0].start;
    }
    return true;
  }

 private:
  struct Block {
    size_t number;
    Block* next;
  };
  struct Chunk {
    char *start, *end;
  };

  static constexpr size_t kHugePage = 2 << 20, kChunk = 32 << 20, kSteps = 8;

  static size_t class_of(size_t size) {
    size_t number = 0;
    while (size_of(number) < size) number++;
    return number;
  }

  // 512, 576, 640 … 960, 1024, 1152 … bytes.
  static size_t size_of(size_t number) {
    return (kSteps + number % kSteps) << (6 + number / kSteps);
  }

  bool owns(const void* memory) const {
    for (size_t each = 0; each < count_; each++)
      if (memory >= chunks_[each].start && memory < chunks_[each].end) return true;
    return false;
  }

  Block* carve(size_t size) {
    while (chunk_ < count_ && static_cast<size_t>(chunks_[chunk_].end - next_) < size)
      if (++chunk_ < count_) next_ = chunks_[chunk_].start;
    if (chunk_ == count_ && !grow(size)) return nullptr;
    Block* block = reinterpret_cast<Block*>(next_);
    next_ += size;
    return block;
  }

  bool grow(size_t size) {
    if (count_ == chunks_.size()) return false;
    const size_t whole = (size + kChunk - 1) / kChunk * kChunk;
    void* found = mmap(nullptr, whole + kHugePage, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) return false;
    const uintptr_t past = reinterpret_cast<uintptr_t>(found) + kHugePage - 1;
    next_ = reinterpret_cast<char*>(past / kHugePage * kHugePage);
    madvise(next_, whole, MADV_HUGEPAGE);
    chunks_[count_++] = {next_, next_ + whole};
    return true;
  }

  std::mutex mutex_;
  std::array<Block*, kSteps * 40> free_{};
  std::array<Chunk, 1024> chunks_{};
  size_t count_ = 0, chunk_ = 0, live_ = 0;  // chunks, the one in use, blocks in use
  char* next_ = nullptr;                     // in the chunk in use
};

inline Arena arena;

extern "C" {
void __real_free(void*);
int __real_posix_memalign(void**, size_t, size_t);

void __wrap_free(void* memory) {
  if (!arena.give(memory)) __real_free(memory);
}

int __wrap_posix_memalign(void** memory, size_t alignment, size_t size) {
  if (alignment > Arena::kAlignment) return __real_posix_memalign(memory, alignment, size);
  *memory = arena.take(size);
  return *memory ? 0 : ENOMEM;
}
}
