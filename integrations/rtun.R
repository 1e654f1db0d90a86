# SPDX-License-Identifier: MIT
#
# Shows R's plots on your own computer, through rtun.
#
#   source(".../integrations/rtun.R")
#   rtun_view(plot(cars))          # one plot
#   rtun_view(p, name = "loss")    # a ggplot or lattice object; shown again it takes its own place
#
#   options(device = rtun_device)  # every plot; a page is shown when the next one begins, the last by rtun_off(), or
#   plot(cars); rtun_off()         # when R ends
#
# RTUN_COMMAND names the program (default: rtun on PATH). What fails on the way is a warning, never an error.

rtun_open <- new.env()

# Hands finished PNG files to rtun view, each under its own name.
rtun_show_files <- function(files, names) {
  program <- Sys.getenv("RTUN_COMMAND", "rtun")
  for (i in seq_along(files)) {
    said <- suppressWarnings(tryCatch(
      system2(program, c("view", "--quiet", "--name", shQuote(names[i]), "-"),
              stdin = files[i], stdout = TRUE, stderr = TRUE),
      error = function(e) structure(conditionMessage(e), status = 1L)))
    if (!is.null(attr(said, "status"))) warning("the plot was not shown: ", paste(said, collapse = " "), call. = FALSE)
  }
  unlink(files)
  invisible(NULL)
}

# Evaluates a plot, or prints a plot object, and shows it.
rtun_view <- function(expr, name = "plot", width = 1600, height = 1200, res = 200, ...) {
  file <- tempfile("rtun", fileext = ".png")
  grDevices::png(file, width = width, height = height, res = res, ...)
  device <- grDevices::dev.cur()
  tryCatch({
    value <- withVisible(expr)
    if (value$visible && inherits(value$value, c("ggplot", "trellis", "grob", "recordedplot"))) print(value$value)
  }, finally = grDevices::dev.off(device))
  if (file.exists(file)) rtun_show_files(file, paste0(name, ".png"))
  invisible(NULL)
}

# A device for options(device = ): a PNG a page.
rtun_device <- function(name = "plot", width = 1600, height = 1200, res = 200, ...) {
  folder <- tempfile("rtun")
  dir.create(folder)
  grDevices::png(file.path(folder, "%04d.png"), width = width, height = height, res = res, ...)
  rtun_open$devices[[as.character(grDevices::dev.cur())]] <- list(folder = folder, name = name)
  invisible(NULL)
}

# Closes the device and shows its pages.
rtun_off <- function(which = grDevices::dev.cur()) {
  key <- as.character(which)
  opened <- rtun_open$devices[[key]]
  if (is.null(opened)) return(invisible(NULL))
  rtun_open$devices[[key]] <- NULL
  if (which %in% grDevices::dev.list()) grDevices::dev.off(which)
  files <- sort(list.files(opened$folder, pattern = "[.]png$", full.names = TRUE))
  pages <- if (length(files) > 1) paste0("-", seq_along(files)) else ""
  if (length(files) > 0) rtun_show_files(files, paste0(opened$name, pages, ".png"))
  unlink(opened$folder, recursive = TRUE)
  invisible(NULL)
}

# What is still open when R ends is shown then.
reg.finalizer(rtun_open, function(state) {
  for (key in names(state$devices)) rtun_off(as.integer(key))
}, onexit = TRUE)
