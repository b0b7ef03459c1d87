Small files load faster: a file of a thousand rows costs fewer commits, connections and passes.
