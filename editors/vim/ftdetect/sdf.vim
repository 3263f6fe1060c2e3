autocmd BufNewFile,BufRead *.sdf setfiletype sdf
