/** A disk that counts and times its syncs: how the metrics port knows what durability costs. Everything else is passed on. */
import type { Clock } from '../lib/clock.ts';
import type { FileStat, FileSystem, OpenMode } from '../lib/files.ts';
import type { Figures } from './figures.ts';

export class MeteredDisk implements FileSystem {
  readonly #disk: FileSystem;
  readonly #figures: Figures;
  readonly #clock: Clock;

  constructor(disk: FileSystem, figures: Figures, clock: Clock) {
    this.#disk = disk;
    this.#figures = figures;
    this.#clock = clock;
  }

  sync(fd: number): void {
    const began = this.#clock.monotonic();
    let failed = true;
    try {
      this.#disk.sync(fd);
      failed = false;
    } finally {
      this.#figures.sync(this.#clock.monotonic() - began, failed);
    }
  }

  async datasync(fd: number): Promise<void> {
    const began = this.#clock.monotonic();
    let failed = true;
    try {
      await this.#disk.datasync(fd);
      failed = false;
    } finally {
      this.#figures.sync(this.#clock.monotonic() - began, failed);
    }
  }

  open(path: string, mode: OpenMode): number {
    return this.#disk.open(path, mode);
  }
  close(fd: number): void {
    this.#disk.close(fd);
  }
  read(fd: number, buf: Buffer, from: number, length: number, position: number): number {
    return this.#disk.read(fd, buf, from, length, position);
  }
  write(fd: number, buf: Buffer, position: number): void {
    this.#disk.write(fd, buf, position);
  }
  truncate(fd: number, sizeBytes: number): void {
    this.#disk.truncate(fd, sizeBytes);
  }
  size(fd: number): number {
    return this.#disk.size(fd);
  }
  rename(from: string, to: string): void {
    this.#disk.rename(from, to);
  }
  unlink(path: string): void {
    this.#disk.unlink(path);
  }
  remove(path: string): Promise<void> {
    return this.#disk.remove(path);
  }
  mkdir(path: string): void {
    this.#disk.mkdir(path);
  }
  rmdir(path: string): void {
    this.#disk.rmdir(path);
  }
  readdir(path: string): string[] {
    return this.#disk.readdir(path);
  }
  stat(path: string): FileStat | null {
    return this.#disk.stat(path);
  }
  syncDir(path: string): void {
    this.#disk.syncDir(path);
  }
  setModified(path: string, modifiedMs: number): void {
    this.#disk.setModified(path, modifiedMs);
  }
  freeBytes(path: string): number {
    return this.#disk.freeBytes(path);
  }
}
