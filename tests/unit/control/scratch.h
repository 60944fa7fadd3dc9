// Files and pipes for the tests of the logs.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "io/socket.h"

namespace ringway::control {

class Folder {
 public:
  Folder() {
    std::string made = testing::TempDir() + "ringway-log-XXXXXX";
    EXPECT_NE(mkdtemp(made.data()), nullptr);
    path_ = made;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Pipe {
  Pipe() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    reading = io::Fd(fds[0]);
    writing = io::Fd(fds[1]);
    fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  }

  // What is in the pipe now.
  std::string read_all() {
    std::string text;
    char some[4096];
    for (ssize_t got; (got = read(reading.get(), some, sizeof some)) > 0;) text.append(some, static_cast<size_t>(got));
    return text;
  }

  // Until nothing more fits.
  void fill() {
    fcntl(writing.get(), F_SETFL, O_NONBLOCK);
    const std::string some(4096, 'f');
    while (write(writing.get(), some.data(), some.size()) > 0) {}
    fcntl(writing.get(), F_SETFL, 0);
  }

  io::Fd reading;
  io::Fd writing;
};

}  // namespace ringway::control
