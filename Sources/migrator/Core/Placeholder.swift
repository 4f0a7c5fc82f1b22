// migrator
